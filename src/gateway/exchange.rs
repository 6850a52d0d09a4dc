//! One request sent to one instance, up to the head of its response.
//!
//! A kept connection may have been closed by the other side just now. That is not the fault of the
//! request, so it is sent again on a fresh connection: once, and only where nobody can have acted
//! on it. Everything else that may be called a retry is not done here.

use std::future::Future;
use std::sync::Arc;

use http::request::Parts;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use tokio::time::{Instant, timeout_at};

use super::limits::Limits;
use super::pool::{Age, ConnectError, Connection};
use super::upload::{RequestBody, Upload, UploadState};
use super::upstream::Lease;

/// Why no response came.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExchangeError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("get an answer")]
    Broken(#[source] hyper::Error),
    /// No head within the time that it may take.
    #[error("get an answer in time")]
    Late,
    /// The client's body came to nothing in this way.
    #[error("send the request body")]
    Upload(UploadState),
}

/// A request with what is needed to watch it.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) request: Request<RequestBody>,
    pub(super) upload: Option<Arc<Upload>>,
}

/// The head of the response, and the connection that its body still comes from.
pub(super) async fn exchange(
    lease: &Lease,
    outgoing: Outgoing,
    limits: &Limits,
) -> Result<(Response<Incoming>, Connection), ExchangeError> {
    let Outgoing { request, upload } = outgoing;
    let upload = upload.as_deref();
    let mut connection = lease.connection().await?;
    let spare = if connection.age == Age::Reused { spare(&request) } else { None };
    let failed = match send(&mut connection, request, upload, limits).await? {
        Ok(response) => return Ok((response, connection)),
        Err(failed) => failed,
    };
    let again = again(connection.age, failed, spare).map_err(|error| blame(error, upload))?;
    let mut connection = lease.connect().await?;
    match send(&mut connection, again, upload, limits).await? {
        Ok(response) => Ok((response, connection)),
        Err(failed) => Err(blame(failed.into_error(), upload)),
    }
}

type Failed = TrySendError<Request<RequestBody>>;

async fn send(
    connection: &mut Connection,
    request: Request<RequestBody>,
    upload: Option<&Upload>,
    limits: &Limits,
) -> Result<Result<Response<Incoming>, Failed>, ExchangeError> {
    in_time(connection.sender.try_send_request(request), upload, limits).await
}

/// The request to send again, if that is safe: hyper hands it back when it wrote nothing of it, and
/// for methods that may be repeated (RFC 9110, section 9.2.2) a copy of the head was kept.
fn again(age: Age, mut failed: Failed, spare: Option<Parts>) -> Result<Request<RequestBody>, hyper::Error> {
    if age == Age::Fresh {
        return Err(failed.into_error());
    }
    if let Some(unsent) = failed.take_message() {
        return Ok(unsent);
    }
    let error = failed.into_error();
    match spare {
        Some(head) if !error.is_parse() => Ok(Request::from_parts(head, RequestBody::Empty)),
        _ => Err(error),
    }
}

fn spare(request: &Request<RequestBody>) -> Option<Parts> {
    let idempotent = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
    );
    if !idempotent || !matches!(request.body(), RequestBody::Empty) {
        return None;
    }
    let mut copy = Request::new(());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy.into_parts().0)
}

/// A connection that broke because of the client's body is no fault of the instance.
fn blame(error: hyper::Error, upload: Option<&Upload>) -> ExchangeError {
    match upload.map(Upload::state) {
        Some(state @ (UploadState::TooLarge | UploadState::Failed)) => ExchangeError::Upload(state),
        _ => ExchangeError::Broken(error),
    }
}

/// Waits as long as the request makes progress; once it is complete, for the response's head.
async fn in_time<F: Future>(
    sending: F,
    upload: Option<&Upload>,
    limits: &Limits,
) -> Result<F::Output, ExchangeError> {
    let mut sending = std::pin::pin!(sending);
    let began = Instant::now();
    // Who is waited for may change at any time, so nobody is waited for longer than this at once.
    let step = limits.upload_idle.min(limits.response_head);
    loop {
        let now = Instant::now();
        let (deadline, late) = due(began, upload, limits);
        if deadline <= now {
            return Err(late);
        }
        if let Ok(answer) = timeout_at(deadline.min(now + step), sending.as_mut()).await {
            return Ok(answer);
        }
    }
}

/// When the next progress is due, and whose fault it is if there is none.
fn due(began: Instant, upload: Option<&Upload>, limits: &Limits) -> (Instant, ExchangeError) {
    let Some(upload) = upload else { return (began + limits.response_head, ExchangeError::Late) };
    match upload.state() {
        UploadState::WaitsForClient => {
            let late = ExchangeError::Upload(UploadState::WaitsForClient);
            (upload.last_progress() + limits.upload_idle, late)
        }
        _ => (upload.last_progress() + limits.response_head, ExchangeError::Late),
    }
}
