//! HTTP/1.1 over connections that are kept: as many as there are requests at once.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Mutex;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;

use super::ledger::{Kind, Ledger, Voice};
use super::message::{Question, chain, connect, read};

/// How many connections may rest. More are opened while there are more requests at once.
const KEPT: usize = 64;

pub type Connection = SendRequest<Full<Bytes>>;

pub struct Http1 {
    gateway: SocketAddr,
    /// The one that has rested longest comes first, so that none rests for long.
    idle: Mutex<VecDeque<Connection>>,
}

impl Http1 {
    pub fn new(gateway: SocketAddr) -> Self {
        Self { gateway, idle: Mutex::default() }
    }

    /// Asks on a kept connection if there is one.
    pub async fn exchange(&self, question: &Question, ledger: &Ledger) -> Result<(Voice, Bytes), String> {
        loop {
            let kept = self.idle.lock().expect("nobody panics with it").pop_front();
            let (mut connection, is_kept) = match kept {
                Some(connection) => (connection, true),
                None => (open(self.gateway, Kind::Get, ledger).await?, false),
            };
            // The gateway has said that it closes this one: then it is none.
            if connection.ready().await.is_err() && is_kept {
                continue;
            }
            match connection.try_send_request(question.request(&question.target)).await {
                Ok(answer) => {
                    let answer = read(answer).await?;
                    self.keep(connection);
                    return Ok(answer);
                }
                // Closed at this moment; of the request nothing was sent.
                Err(unsent) if unsent.message().is_some() && is_kept => {}
                Err(error) => return Err(format!("{} (kept: {is_kept})", chain(error.error()))),
            }
        }
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().expect("nobody panics with it");
        if idle.len() < KEPT {
            idle.push_back(connection);
        }
    }
}

pub async fn open(gateway: SocketAddr, kind: Kind, ledger: &Ledger) -> Result<Connection, String> {
    let stream = TokioIo::new(connect(gateway).await?);
    let (connection, driver) = handshake(stream).await.map_err(|error| chain(&error))?;
    ledger.connected(kind);
    // Its errors reach whoever waits for an answer.
    tokio::spawn(driver);
    Ok(connection)
}
