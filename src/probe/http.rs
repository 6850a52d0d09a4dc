//! A request of our own, not the word of an engine, which lags by its whole interval.

use std::net::SocketAddr;
use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::tcp;
use crate::model::traffic::UpstreamProtocol;

/// `GET path`: 2xx or 3xx within `patience` is well.
///
/// # Errors
/// What came instead.
pub async fn get(
    address: SocketAddr,
    protocol: UpstreamProtocol,
    path: &str,
    patience: Duration,
) -> Result<(), String> {
    match timeout(patience, status_of(address, protocol, path)).await {
        Ok(Ok(status)) if status.is_success() || status.is_redirection() => Ok(()),
        Ok(Ok(status)) => Err(format!("GET {path} answers {status}")),
        Ok(Err(reason)) => Err(reason),
        Err(_) => Err(format!("GET {path} gives no answer within {}", humantime::format_duration(patience))),
    }
}

async fn status_of(
    address: SocketAddr,
    protocol: UpstreamProtocol,
    path: &str,
) -> Result<StatusCode, String> {
    let stream = TokioIo::new(tcp::open(address).await?);
    let answer = match protocol {
        UpstreamProtocol::Http1 => by_http1(stream, request(address, path)?).await,
        UpstreamProtocol::Http2 => by_http2(stream, request(address, path)?).await,
    };
    answer.map_err(|error| format!("GET {path} breaks off: {error}"))
}

fn request(address: SocketAddr, path: &str) -> Result<Request<Empty<Bytes>>, String> {
    // HTTP/2 takes the scheme and the host from the address, HTTP/1.1 the host from its header.
    Request::get(format!("http://{address}{path}"))
        .header(http::header::HOST, address.to_string())
        .header(http::header::USER_AGENT, "msctl-probe")
        .body(Empty::new())
        .map_err(|error| format!("{path:?} is no path: {error}"))
}

async fn by_http1(
    stream: TokioIo<TcpStream>,
    mut request: Request<Empty<Bytes>>,
) -> Result<StatusCode, hyper::Error> {
    // In origin-form (RFC 9112, section 3.2.1).
    if let Some(path) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = http::Uri::from(path);
    }
    let (mut sender, connection) = http1::handshake(stream).await?;
    tokio::select! {
        // Both arms may be dropped at any point: the connection is ours alone and ends with them.
        answer = sender.send_request(request) => answer.map(|response| response.status()),
        Err(error) = connection => Err(error),
    }
}

async fn by_http2(
    stream: TokioIo<TcpStream>,
    mut request: Request<Empty<Bytes>>,
) -> Result<StatusCode, hyper::Error> {
    request.headers_mut().remove(http::header::HOST);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
    tokio::select! {
        // As above.
        answer = sender.send_request(request) => answer.map(|response| response.status()),
        Err(error) = connection => Err(error),
    }
}
