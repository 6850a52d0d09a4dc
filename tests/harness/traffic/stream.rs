//! Streams of server-sent events, none of which may be missing.

use std::net::SocketAddr;
use std::time::Instant;

use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::http1;
use super::ledger::{Kind, Ledger, Voice};
use super::message::{Question, chain, voice, within_limit};

/// Reads a stream to its end, on a connection of its own.
pub async fn listen(gateway: SocketAddr, target: String, due: Instant, ledger: &Ledger) {
    let asked = ledger.ask(Kind::Stream, due);
    match within_limit(open(gateway, Question::get(target), ledger)).await {
        Err(failure) => ledger.failed(Kind::Stream, failure),
        Ok((connection, by, body)) => {
            ledger.answered(asked, by);
            Listener { by, ledger, last: 0, text: String::new() }.read(body).await;
            drop(connection);
        }
    }
}

async fn open(
    gateway: SocketAddr,
    question: Question,
    ledger: &Ledger,
) -> Result<(http1::Connection, Voice, Incoming), String> {
    let mut connection = http1::open(gateway, Kind::Stream, ledger).await?;
    let request = question.request(&question.target);
    let answer = connection.send_request(request).await.map_err(|error| chain(&error))?;
    if answer.status() != 200 {
        return Err(answer.status().to_string());
    }
    let (head, body) = answer.into_parts();
    Ok((connection, voice(&head.headers)?, body))
}

struct Listener<'l> {
    by: Voice,
    ledger: &'l Ledger,
    /// The number of the last event.
    last: u64,
    /// What came, up to what makes a whole event.
    text: String,
}

impl Listener<'_> {
    async fn read(mut self, mut body: Incoming) {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                if event.starts_with("event: end") {
                    return;
                }
                self.take(&event);
            }
            let frame = within_limit(async { body.frame().await.transpose().map_err(|error| chain(&error)) });
            let how = match frame.await {
                Ok(Some(frame)) => {
                    let data = frame.into_data().unwrap_or_default();
                    self.text.push_str(&String::from_utf8_lossy(&data));
                    continue;
                }
                Ok(None) => "it ended".to_owned(),
                Err(error) => error,
            };
            self.ledger.cut(Kind::Event, self.by, format!("{how} after event {}", self.last));
            return;
        }
    }

    fn take(&mut self, event: &str) {
        let expected = format!("id: {}\ndata: {}", self.last + 1, self.by.generation);
        if event == expected {
            self.last += 1;
            let event = self.ledger.ask(Kind::Event, Instant::now());
            self.ledger.answered(event, self.by);
        } else {
            self.ledger.failed(Kind::Event, format!("{event:?} came for {expected:?}"));
        }
    }
}
