//! Whether a try that failed is worth another one, on another instance.
//!
//! Only where that cannot do a thing twice: nothing reached the instance, or the method is idempotent
//! (RFC 9110, section 9.2.2). Whether the service can bear it is the budget's to say, afterwards. A
//! kept connection that turns out to be closed is another matter, dealt with in `exchange`: it costs
//! no attempt and no budget.

use std::time::Duration;

use http::{Method, StatusCode};

use crate::model::traffic::RetryPolicy;

/// A try that failed before anything of its answer was passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed<'r> {
    pub method: &'r Method,
    pub failure: Failure,
    pub written: Written,
    pub body: RequestBody,
    /// Tries that were made, this one included.
    pub tries: u32,
    pub asked: Asked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No connection came about: refused, unreachable, or not in time.
    Connect,
    /// The connection broke before the head of an answer.
    Reset,
    /// No head of an answer in time.
    Late,
    /// The instance answered, with its `Retry-After` in seconds if it sent one.
    Status { status: StatusCode, retry_after: Option<Duration> },
    /// The answer was no HTTP, or the client's side failed: another instance would not help.
    Other,
}

/// What of the request went out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    Nothing,
    Something,
}

/// Whether the request's body can be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestBody {
    /// There is none, nothing of it was taken yet, or it was kept.
    Whole,
    Gone,
}

/// Whether retries are wanted at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Freely,
    /// The client, or a gateway before this one, retries itself.
    NotToRetry,
    /// The gateway is about to stop.
    Stopping,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    Again,
    Final(Reason),
}

/// Why a failure is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The failure would be the same elsewhere, or the policy does not name it.
    NotRetryable,
    NotIdempotent,
    BodyGone,
    NoTriesLeft,
    NotWanted,
}

pub fn decide(failed: &Failed<'_>, policy: &RetryPolicy) -> Decision {
    if !is_retryable(failed.failure, policy) {
        return Decision::Final(Reason::NotRetryable);
    }
    if may_have_acted(failed) && !is_idempotent(failed.method) {
        return Decision::Final(Reason::NotIdempotent);
    }
    if failed.body == RequestBody::Gone {
        return Decision::Final(Reason::BodyGone);
    }
    if failed.asked != Asked::Freely {
        return Decision::Final(Reason::NotWanted);
    }
    if failed.tries > policy.attempts { Decision::Final(Reason::NoTriesLeft) } else { Decision::Again }
}

/// RFC 9110, section 9.2.2.
pub fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    )
}

fn is_retryable(failure: Failure, policy: &RetryPolicy) -> bool {
    match failure {
        Failure::Connect | Failure::Reset => true,
        Failure::Late => policy.on_status,
        Failure::Status { status, retry_after } => {
            is_invitation(status, retry_after) || (policy.on_status && is_of_a_gateway(status))
        }
        Failure::Other => false,
    }
}

/// An instance that has no room at the moment says so with 503 and `Retry-After: 0`.
fn is_invitation(status: StatusCode, retry_after: Option<Duration>) -> bool {
    status == StatusCode::SERVICE_UNAVAILABLE && retry_after == Some(Duration::ZERO)
}

/// Answers with which something before the service may say that it did not get through to it.
fn is_of_a_gateway(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

fn may_have_acted(failed: &Failed<'_>) -> bool {
    failed.failure != Failure::Connect && failed.written == Written::Something
}

#[cfg(test)]
mod tests;
