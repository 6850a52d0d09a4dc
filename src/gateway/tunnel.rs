//! Connections that stop being HTTP: WebSockets.
//!
//! Only the protocols named here are switched to. Anything may be asked for in `Upgrade`, and a tunnel
//! of unknown content would be a way around every rule of the gateway (`h2c` is the known one).
//!
//! A client of HTTP/2 asks with an extended CONNECT (RFC 8441). It is rewritten to what a client of
//! HTTP/1.1 would have sent before anything else looks at it, and so is the answer at the end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tokio::sync::oneshot;
use tokio::time::sleep;
use uuid::Uuid;

use super::access_log::Record;
use super::body::Body;
use super::headers::{has_token, remove_hop_by_hop};
use super::server::Tasks;
use super::tunnel_end::{Pulse, TunnelEnd};
use super::upstream::Lease;
use crate::model::traffic::Timeouts;

const WEBSOCKET: &str = "websocket";

/// The client's side of a tunnel that was asked for.
pub(super) struct Wanted {
    client: OnUpgrade,
    form: Form,
}

/// How the client asked, and is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Upgrade,
    Connect,
}

/// The gateway's answer that opens a tunnel: whoever sends it hands over what is known of the request,
/// which is over when the tunnel is.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) pulse: Arc<Pulse>,
    pub(super) record: oneshot::Sender<Record>,
}

/// Makes an extended CONNECT that opens a WebSocket what it would be in HTTP/1.1. Any other CONNECT
/// stays what it is.
pub(super) fn translate<B>(request: &mut Request<B>) {
    let asked = request.version() == Version::HTTP_2
        && request.method() == Method::CONNECT
        && request.extensions().get::<Protocol>().is_some_and(|protocol| protocol.as_str() == WEBSOCKET)
        && has_known_version(request.headers());
    if asked {
        *request.method_mut() = Method::GET;
        set_headers(request.headers_mut());
        request.headers_mut().insert(SEC_WEBSOCKET_KEY, key());
    }
}

/// Sixteen random bytes in base64. Of hexadecimal digits every one is a digit of base64, too; the
/// last one before the padding stands for two bits.
fn key() -> HeaderValue {
    let digits = Uuid::new_v4().simple().to_string();
    let key = format!("{}A==", &digits[digits.len() - 21..]);
    HeaderValue::try_from(key).unwrap_or(HeaderValue::from_static("AAAAAAAAAAAAAAAAAAAAAA=="))
}

/// Takes the wish out of the request, if it is one that can be granted.
pub(super) fn wanted<B>(request: &mut Request<B>) -> Option<Wanted> {
    let form = match request.version() {
        Version::HTTP_11 => Form::Upgrade,
        Version::HTTP_2 if request.extensions().get::<Protocol>().is_some() => Form::Connect,
        _ => return None,
    };
    is_handshake(request).then(|| Wanted { client: hyper::upgrade::on(request), form })
}

/// Whether the request is all that opens a WebSocket (RFC 6455, section 4.1). Anything less goes on as
/// an ordinary request, which the service may decline.
fn is_handshake<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    request.method() == Method::GET
        && has_token(headers, &CONNECTION, "upgrade")
        && has_token(headers, &UPGRADE, WEBSOCKET)
        && headers.contains_key(SEC_WEBSOCKET_KEY)
        && has_known_version(headers)
        && !headers.contains_key(TRANSFER_ENCODING)
        && headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0")
}

fn has_known_version(headers: &HeaderMap) -> bool {
    headers.get(SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13")
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

/// Copies bytes both ways until both sides have ended, neither says anything for too long, the
/// instance's drain deadline passes, or the gateway's own. The lease is held all the while.
pub(super) fn open<B>(
    wanted: Wanted,
    mut response: Response<B>,
    lease: Lease,
    tasks: &Tasks,
    timeouts: &Timeouts,
) -> Response<Body> {
    let Wanted { client, form } = wanted;
    let instance_side = hyper::upgrade::on(&mut response);
    let upstream = Arc::clone(lease.upstream());
    let silence = timeouts.tunnel_idle;
    let pulse = Arc::new(Pulse::default());
    let (record, handed_over) = oneshot::channel();
    let opening = Opening { pulse: Arc::clone(&pulse), record };
    let task = tasks.spawn(async move {
        let _record = handed_over.await;
        let ended = copy(client, instance_side, &pulse, silence).await;
        tracing::debug!(instance = %lease.upstream().instance(), ?ended, "tunnel closed");
    });
    upstream.cut_on_close(task);
    let mut answer = response.map(|_| Body::opening(opening));
    remove_hop_by_hop(answer.headers_mut());
    match form {
        Form::Upgrade => set_headers(answer.headers_mut()),
        Form::Connect => {
            *answer.status_mut() = StatusCode::OK;
            // It answers a key that the client does not know of.
            answer.headers_mut().remove::<HeaderName>(SEC_WEBSOCKET_ACCEPT);
        }
    }
    answer
}

/// How many bytes went to the instance and came from it. A side that says no more is still listened
/// to by the other.
async fn copy(
    client: OnUpgrade,
    instance: OnUpgrade,
    pulse: &Pulse,
    silence: Duration,
) -> io::Result<(u64, u64)> {
    let (client, instance) = tokio::try_join!(client, instance).map_err(io::Error::other)?;
    let mut client = TunnelEnd::new(TokioIo::new(client), pulse);
    let mut instance = TokioIo::new(instance);
    tokio::select! {
        ended = copy_bidirectional(&mut client, &mut instance) => ended,
        // What was on its way is lost with either branch; both end the tunnel.
        () = silent(pulse, silence) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Returns when nothing was said for one to two times as long as allowed: no clock is read for what
/// is said.
async fn silent(pulse: &Pulse, silence: Duration) {
    let mut heard = pulse.bytes();
    loop {
        sleep(silence).await;
        if std::mem::replace(&mut heard, pulse.bytes()) == pulse.bytes() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_sixteen_bytes_in_base64() {
        let (one, other) = (key(), key());
        assert_ne!(one, other);
        assert_eq!(one.len(), 24);
        assert!(one.to_str().unwrap().ends_with("A=="));
    }
}
