//! One request sent to one instance, up to the head of its response.
//!
//! A kept connection may have been closed by the other side just now. That is not the fault of the
//! request, so it is sent again on another connection: once, and only where nobody can have acted
//! on it. Where another try might do better, the request is handed back with the failure; whether
//! there is one is decided in `attempts`.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::access_log::Tries;
use super::connection::{Age, ConnectError, Connection, Failed};
use super::informational::Early;
use super::metrics::RetryReason;
use super::patience::{LazyTimer, Patience};
use super::policy::retry::{RequestBody as Replay, Written, is_idempotent};
use super::trace_context::TraceContext;
use super::upload::{RequestBody, Upload, UploadState};
use super::upstream::Lease;
use crate::model::traffic::UpstreamProtocol;

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
    /// The time for everything together is over.
    #[error("get an answer before the deadline")]
    Overdue,
    #[error("get an answer: only informational responses came")]
    Flood,
    /// The client's body came to nothing in this way.
    #[error("send the request body")]
    Upload(UploadState),
}

/// By what a request is watched while it is under way.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) upload: Option<Arc<Upload>>,
    /// Of HTTP/2 hyper tells only the response.
    pub(super) early: Option<Arc<Early>>,
    pub(super) protocol: UpstreamProtocol,
    pub(super) patience: Patience,
}

/// The head of a response, and the connection that its body still comes from.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    pub(super) connection: Connection,
    /// The request, should this answer not be the last word.
    pub(super) spare: Spare,
}

/// No response came.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) error: ExchangeError,
    /// The request, if it can be sent once more.
    pub(super) again: Option<Again>,
}

#[derive(Debug)]
pub(super) struct Again {
    pub(super) request: Box<Request<RequestBody>>,
    pub(super) written: Written,
}

/// What came of sending a request over one connection instead of a response.
struct Returned {
    error: ExchangeError,
    /// The request, if it can be sent once more: to another instance at least.
    again: Option<Again>,
    /// Another connection to the same instance may do.
    is_stale: bool,
}

impl From<Returned> for Unanswered {
    fn from(Returned { error, again, .. }: Returned) -> Self {
        Self { error, again }
    }
}

pub(super) async fn exchange(
    lease: &Lease,
    request: Box<Request<RequestBody>>,
    watched: &Watched,
    tries: &mut Tries,
) -> Result<Answer, Unanswered> {
    match send_over(lease.connection(watched.protocol), request, watched, tries).await {
        Ok(answer) => Ok(answer),
        // Rare, and boxed so that every request need not be large enough for it.
        Err(Returned { again: Some(again), is_stale: true, .. }) => {
            Box::pin(exchange_again(lease, again.request, watched, tries)).await
        }
        Err(returned) => Err(returned.into()),
    }
}

/// On another connection, after the first one turned out to have been closed.
async fn exchange_again(
    lease: &Lease,
    mut request: Box<Request<RequestBody>>,
    watched: &Watched,
    tries: &mut Tries,
) -> Result<Answer, Unanswered> {
    TraceContext::renew(request.headers_mut());
    tries.again(RetryReason::Stale);
    Ok(send_over(lease.another(watched.protocol), request, watched, tries).await?)
}

async fn send_over(
    connecting: impl Future<Output = Result<Connection, ConnectError>>,
    request: Box<Request<RequestBody>>,
    watched: &Watched,
    tries: &mut Tries,
) -> Result<Answer, Returned> {
    tries.begin();
    let mut connection = match tries.connected(connecting.await) {
        Ok(connection) => connection,
        Err(error) => {
            let again = Some(Again { request, written: Written::Nothing });
            return Err(Returned { error: error.into(), again, is_stale: false });
        }
    };
    let spare = Spare::of(&request, watched, connection.age);
    let failed = match watched.send(&mut connection, request).await {
        Ok(Ok(response)) => return Ok(Answer { response: tries.answered(response), connection, spare }),
        Ok(Err(failed)) => failed,
        Err(error) => return Err(spare.given_up(error)),
    };
    if is_of_the_connection(failed.error()) {
        connection.retire();
    }
    Err(spare.returned(failed, watched))
}

impl Watched {
    /// Waits as long as the request makes progress; once it is complete, for the response's head.
    async fn send(
        &self,
        connection: &mut Connection,
        mut request: Box<Request<RequestBody>>,
    ) -> Result<Result<Response<Incoming>, Failed>, ExchangeError> {
        if let Some(early) = &self.early {
            early.listen(&mut request);
        }
        let Connection { sender, age, timer } = connection;
        let mut sending = pin!(sender.send(*request, *age));
        poll_fn(|context| {
            let answer = sending.as_mut().poll(context);
            if self.early.as_ref().is_some_and(|early| early.poll_flood(context).is_ready()) {
                return Poll::Ready(Err(ExchangeError::Flood));
            }
            match answer {
                Poll::Ready(answer) => Poll::Ready(Ok(answer)),
                Poll::Pending => self.poll_late(timer, context).map(Err),
            }
        })
        .await
    }

    fn poll_late(&self, timer: &mut LazyTimer, context: &mut Context<'_>) -> Poll<ExchangeError> {
        // Who is waited for may change at any time, so nobody is waited for longer than this at once.
        let step = self.patience.upload.min(self.patience.head);
        loop {
            let now = Instant::now();
            let (due, late) = self.due();
            if due <= now {
                return Poll::Ready(late);
            }
            ready!(timer.poll(due.min(now + step), context));
        }
    }

    /// When the next progress is due, and whose fault it is if there is none.
    fn due(&self) -> (Instant, ExchangeError) {
        let patience = &self.patience;
        let (due, late) = match &self.upload {
            None => (patience.began + patience.head, ExchangeError::Late),
            Some(upload) => match upload.state() {
                state @ UploadState::WaitsForClient => {
                    (upload.last_progress() + patience.upload, ExchangeError::Upload(state))
                }
                // A later try sends what an earlier one has taken.
                _ => (upload.last_progress().max(patience.began) + patience.head, ExchangeError::Late),
            },
        };
        match patience.deadline {
            Some(deadline) if deadline < due => (deadline, ExchangeError::Overdue),
            _ => (due, late),
        }
    }

    /// A connection that broke because of the client's body is no fault of the instance.
    fn blame(&self, error: hyper::Error) -> ExchangeError {
        match self.upload.as_ref().map(|upload| upload.state()) {
            Some(state @ (UploadState::TooLarge | UploadState::Failed | UploadState::Malformed)) => {
                ExchangeError::Upload(state)
            }
            _ => ExchangeError::Broken(error),
        }
    }
}

/// What is kept of a request in case that it has to be sent again.
#[derive(Debug)]
pub(super) struct Spare {
    head: Option<Box<Parts>>,
    body: Option<Arc<Upload>>,
    idempotent: bool,
    protocol: UpstreamProtocol,
    age: Age,
}

impl Spare {
    fn of(request: &Request<RequestBody>, watched: &Watched, age: Age) -> Self {
        let protocol = watched.protocol;
        let idempotent = is_idempotent(request.method());
        let needed = match protocol {
            UpstreamProtocol::Http1 => idempotent,
            // Any stream may be refused.
            UpstreamProtocol::Http2 => true,
        };
        Self {
            head: needed.then(|| head_of(request)),
            body: watched.upload.clone(),
            idempotent,
            protocol,
            age,
        }
    }

    /// The request is sent again to the same instance if that is safe: hyper hands it back when it
    /// wrote nothing of it; an instance may refuse a stream before it did anything with it (RFC 9113,
    /// section 8.7); and a method that may be repeated (RFC 9110, section 9.2.2) may meet a connection
    /// that just ended. Else another instance may be asked, where only the connection is to blame.
    fn returned(self, mut failed: Failed, watched: &Watched) -> Returned {
        let is_reused = self.age == Age::Reused;
        let unsent = failed.take_message().map(Box::new);
        let error = failed.into_error();
        if let Some(request) = unsent {
            let is_stale = is_reused || self.protocol == UpstreamProtocol::Http2;
            let again = Some(Again { request, written: Written::Nothing });
            return Returned { error: watched.blame(error), again, is_stale };
        }
        let broke = self.idempotent && is_of_the_connection(&error);
        let is_stale = is_refused(&error) || (is_reused && broke);
        let request = if is_stale || broke { self.request() } else { None };
        let again = request.map(|request| Again { request, written: Written::Something });
        Returned { error: watched.blame(error), again, is_stale }
    }

    /// Nothing came in time, so another instance may be asked; anything else is not the instance's fault.
    fn given_up(self, error: ExchangeError) -> Returned {
        let is_late = matches!(error, ExchangeError::Late);
        let request = if is_late { self.request() } else { None };
        let again = request.map(|request| Again { request, written: Written::Something });
        Returned { error, again, is_stale: false }
    }

    /// Whether there is still all of it.
    pub(super) fn replay(&self) -> Replay {
        let body = self.body.as_ref().is_none_or(|upload| upload.is_kept());
        if self.head.is_some() && body { Replay::Whole } else { Replay::Gone }
    }

    /// `None` where it was not kept, or is gone.
    pub(super) fn request(self) -> Option<Box<Request<RequestBody>>> {
        let body = match self.body {
            Some(upload) => upload.again()?,
            None => RequestBody::Empty,
        };
        Some(Box::new(Request::from_parts(*self.head?, body)))
    }
}

fn head_of(request: &Request<RequestBody>) -> Box<Parts> {
    let mut copy = Request::new(());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Box::new(copy.into_parts().0)
}

fn is_refused(error: &hyper::Error) -> bool {
    let refused = |error: &h2::Error| error.is_remote() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    h2_error(error).is_some_and(refused)
}

/// Rather than of this one request: no answer was misunderstood, and no stream reset.
fn is_of_the_connection(error: &hyper::Error) -> bool {
    !error.is_parse() && h2_error(error).is_none_or(|error| !error.is_reset())
}

fn h2_error(error: &hyper::Error) -> Option<&h2::Error> {
    error.source()?.downcast_ref()
}
