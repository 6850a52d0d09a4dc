//! HTTP/2 with prior knowledge: a few connections that all requests share.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::Mutex;

use super::ledger::{Kind, Ledger, Voice};
use super::message::{Question, chain, connect, read};

const CONNECTIONS: usize = 4;

type Connection = SendRequest<Full<Bytes>>;

pub struct Http2 {
    gateway: SocketAddr,
    next: AtomicUsize,
    connections: [Mutex<Option<Connection>>; CONNECTIONS],
}

impl Http2 {
    pub fn new(gateway: SocketAddr) -> Self {
        Self { gateway, next: AtomicUsize::new(0), connections: Default::default() }
    }

    pub async fn exchange(&self, question: &Question, ledger: &Ledger) -> Result<(Voice, Bytes), String> {
        let uri = format!("http://localhost{}", question.target);
        let place = self.next.fetch_add(1, Ordering::Relaxed) % CONNECTIONS;
        loop {
            let (mut connection, is_kept) = self.connection(place, ledger).await?;
            match connection.try_send_request(question.request(&uri)).await {
                Ok(answer) => return read(answer).await,
                // The gateway has said goodbye; of the request nothing was sent.
                Err(unsent) if unsent.message().is_some() && is_kept => {}
                Err(error) => return Err(format!("{} (kept: {is_kept})", chain(error.error()))),
            }
        }
    }

    async fn connection(&self, place: usize, ledger: &Ledger) -> Result<(Connection, bool), String> {
        let mut kept = self.connections[place].lock().await;
        if let Some(connection) = &mut *kept
            && connection.ready().await.is_ok()
        {
            return Ok((connection.clone(), true));
        }
        let stream = TokioIo::new(connect(self.gateway).await?);
        let (connection, driver) =
            handshake(TokioExecutor::new(), stream).await.map_err(|error| chain(&error))?;
        ledger.connected(Kind::Http2);
        // Its errors reach whoever waits for an answer.
        tokio::spawn(driver);
        *kept = Some(connection.clone());
        Ok((connection, false))
    }
}
