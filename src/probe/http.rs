//! A request of our own, not the word of an engine, which lags by its whole interval.

use std::net::SocketAddr;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
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

/// What `GET path` of `host` at `address` answers with 200, by HTTP/1.1.
///
/// # Errors
/// What came instead.
pub async fn fetch(
    address: SocketAddr,
    host: &str,
    path: &str,
    patience: Duration,
    most: u64,
) -> Result<Vec<u8>, String> {
    let fetching = async {
        let stream = TokioIo::new(tcp::open(address).await?);
        let mut request = request(address, path)?;
        let named = http::HeaderValue::from_str(&format!("{host}:{}", address.port()));
        request.headers_mut().extend(named.ok().map(|host| (http::header::HOST, host)));
        by_http1(stream, request, |response| whole(response, most)).await.map_err(breaks_off(path))?
    };
    let late = |_| format!("GET {path} gives no answer within {}", humantime::format_duration(patience));
    timeout(patience, fetching).await.map_err(late)?
}

async fn whole(response: Response<Incoming>, most: u64) -> Result<Result<Vec<u8>, String>, hyper::Error> {
    let status = response.status();
    if status != StatusCode::OK {
        return Ok(Err(format!("it answers {status}")));
    }
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        bytes.extend_from_slice(frame?.data_ref().map_or(&[][..], Bytes::as_ref));
        if bytes.len() as u64 > most {
            return Ok(Err(format!("it answers with more than {most} bytes")));
        }
    }
    Ok(Ok(bytes))
}

fn breaks_off(path: &str) -> impl Fn(hyper::Error) -> String {
    move |error| format!("GET {path} breaks off: {error}")
}

async fn status_of(
    address: SocketAddr,
    protocol: UpstreamProtocol,
    path: &str,
) -> Result<StatusCode, String> {
    let stream = TokioIo::new(tcp::open(address).await?);
    let answer = match protocol {
        UpstreamProtocol::Http1 => by_http1(stream, request(address, path)?, status).await,
        UpstreamProtocol::Http2 => by_http2(stream, request(address, path)?).await,
    };
    answer.map_err(breaks_off(path))
}

fn request(address: SocketAddr, path: &str) -> Result<Request<Empty<Bytes>>, String> {
    // HTTP/2 takes the scheme and the host from the address, HTTP/1.1 the host from its header.
    Request::get(format!("http://{address}{path}"))
        .header(http::header::HOST, address.to_string())
        .header(http::header::USER_AGENT, "msctl-probe")
        .body(Empty::new())
        .map_err(|error| format!("{path:?} is no path: {error}"))
}

async fn status(response: Response<Incoming>) -> Result<StatusCode, hyper::Error> {
    Ok(response.status())
}

async fn by_http1<T, F>(
    stream: TokioIo<TcpStream>,
    mut request: Request<Empty<Bytes>>,
    take: impl FnOnce(Response<Incoming>) -> F,
) -> Result<T, hyper::Error>
where
    F: Future<Output = Result<T, hyper::Error>>,
{
    // In origin-form (RFC 9112, section 3.2.1).
    if let Some(path) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = http::Uri::from(path);
    }
    let (mut sender, connection) = http1::handshake(stream).await?;
    let taken = async move { take(sender.send_request(request).await?).await };
    tokio::select! {
        // Both arms may be dropped at any point: the connection is ours alone and ends with them.
        answer = taken => answer,
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
