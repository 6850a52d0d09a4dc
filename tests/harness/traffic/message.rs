//! What all clients of HTTP have in common: how they ask, and what they take for an answer.

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::ledger::Voice;

/// Who waits for longer has got no answer.
const LIMIT: Duration = Duration::from_secs(30);

/// What is asked: the same for every protocol.
#[derive(Debug, Clone)]
pub struct Question {
    pub method: Method,
    /// Path and query.
    pub target: String,
    pub body: Bytes,
}

impl Question {
    pub fn get(target: String) -> Self {
        Self { method: Method::GET, target, body: Bytes::new() }
    }

    pub fn request(&self, uri: &str) -> Request<Full<Bytes>> {
        let request = Request::builder().method(&self.method).uri(uri).header("host", "localhost");
        request.body(Full::new(self.body.clone())).expect("the test asks well")
    }
}

pub async fn connect(gateway: SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(gateway).await.map_err(|error| format!("connect: {error}"))?;
    stream.set_nodelay(true).map_err(|error| format!("connect: {error}"))?;
    Ok(stream)
}

/// What came of it, or that nothing did for too long.
pub async fn within_limit<T>(exchange: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    timeout(LIMIT, exchange).await.unwrap_or_else(|_| Err(format!("no answer within {LIMIT:?}")))
}

/// The whole of a good answer, and whose it is.
pub async fn read(answer: Response<Incoming>) -> Result<(Voice, Bytes), String> {
    let (head, body) = answer.into_parts();
    let body = body.collect().await.map_err(|error| format!("{}, then: {}", head.status, chain(&error)))?;
    let body = body.to_bytes();
    if head.status != 200 {
        return Err(format!("{}: {}", head.status, String::from_utf8_lossy(&body)));
    }
    Ok((voice(&head.headers)?, body))
}

pub fn voice(headers: &HeaderMap) -> Result<Voice, String> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.parse().ok();
    let voice = number("x-generation").zip(number("x-edition"));
    let voice = voice.map(|(generation, edition)| Voice { generation, edition });
    voice.ok_or_else(|| format!("an answer of nobody: {headers:?}"))
}

/// An error with its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
