//! Connections that stop being HTTP: WebSockets.
//!
//! Only the protocols named here are switched to. Anything may be asked for in `Upgrade`, and a tunnel
//! of unknown content would be a way around every rule of the gateway (`h2c` is the known one).

use std::io;
use std::sync::Arc;

use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

use super::body::Body;
use super::headers::{has_token, remove_hop_by_hop};
use super::server::Tasks;
use super::upstream::Lease;

const WEBSOCKET: &str = "websocket";

/// The client's side of a tunnel that was asked for.
pub(super) struct Wanted(OnUpgrade);

/// Takes the wish out of the request, if it is one that can be granted.
pub(super) fn wanted<B>(request: &mut Request<B>) -> Option<Wanted> {
    is_handshake(request).then(|| Wanted(hyper::upgrade::on(request)))
}

/// Whether the request is all that opens a WebSocket (RFC 6455, section 4.1). Anything less goes on as
/// an ordinary request, which the service may decline.
fn is_handshake<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    request.version() == Version::HTTP_11
        && request.method() == Method::GET
        && has_token(headers, &CONNECTION, "upgrade")
        && has_token(headers, &UPGRADE, WEBSOCKET)
        && headers.contains_key(SEC_WEBSOCKET_KEY)
        && headers.get(SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13")
        && !headers.contains_key(TRANSFER_ENCODING)
        && headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0")
}

/// The headers that switch protocols, which are hop by hop and were removed with the others.
pub(super) fn set_headers(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static(WEBSOCKET));
}

/// Whether an instance answered what it was asked.
pub(super) fn is_accepted<B>(response: &Response<B>) -> bool {
    response.status() == StatusCode::SWITCHING_PROTOCOLS && has_token(response.headers(), &UPGRADE, WEBSOCKET)
}

/// Copies bytes both ways until both sides have ended, the instance's drain deadline passes, or the
/// gateway's own. The lease is held all the while.
pub(super) fn open<B>(
    wanted: Wanted,
    mut response: Response<B>,
    lease: Lease,
    tasks: &Tasks,
) -> Response<Body> {
    let instance_side = hyper::upgrade::on(&mut response);
    let upstream = Arc::clone(lease.upstream());
    let task = tasks.spawn(async move {
        let ended = copy(wanted.0, instance_side).await;
        tracing::debug!(instance = %lease.upstream().instance(), ?ended, "tunnel closed");
    });
    upstream.cut_on_close(task);
    let mut answer = response.map(|_| Body::empty());
    remove_hop_by_hop(answer.headers_mut());
    set_headers(answer.headers_mut());
    answer
}

/// How many bytes went to the instance and came from it.
async fn copy(client: OnUpgrade, instance: OnUpgrade) -> io::Result<(u64, u64)> {
    let (client, instance) = tokio::try_join!(client, instance).map_err(io::Error::other)?;
    copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(instance)).await
}
