//! What an exchange says about the instance that it was with, and about the service.
//!
//! A call of gRPC is answered with 200 and fails in `grpc-status`. Where it fails before it has begun,
//! and so does one that no instance could take, that stands in the head; what stands in trailers
//! comes after the verdict.

use std::time::Instant;

use http::{Response, StatusCode};

use super::exchange::ExchangeError;
use super::grpc::{self, Declined};
use super::policy::breaker::{Admission, Change, Outcome};
use super::service::Service;
use super::upstream::Upstream;

pub(super) fn of_answer<B>(answer: &Response<B>) -> Outcome {
    match grpc::declined(answer.headers()) {
        Some(Declined::Unavailable) => Outcome::Failure,
        Some(Declined::Exhausted) => Outcome::TooMany,
        None => of_status(answer.status()),
    }
}

pub(super) fn of_status(status: StatusCode) -> Outcome {
    match status {
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            Outcome::Failure
        }
        StatusCode::TOO_MANY_REQUESTS => Outcome::TooMany,
        _ => Outcome::Success,
    }
}

/// `None` where it is the client's fault, which says nothing about anybody else.
pub(super) fn of_error(error: &ExchangeError) -> Option<Outcome> {
    match error {
        // The deadline of a call is the caller's to choose.
        ExchangeError::Upload(_) | ExchangeError::Overdue => None,
        _ => Some(Outcome::Failure),
    }
}

/// Tells everybody who keeps account. Without its `admission` it says nothing about the service.
pub(super) fn report(
    service: &Service,
    upstream: &Upstream,
    admission: Option<Admission<'_>>,
    outcome: Outcome,
) {
    let now = Instant::now();
    let policy = &service.traffic;
    match outcome {
        Outcome::Success | Outcome::TooMany => upstream.outlier().succeeded(),
        Outcome::Failure => {
            let all = || service.ready().iter().map(|other| other.outlier());
            let ejected = service.state().ejections.failed(upstream.outlier(), all, &policy.outlier, now);
            if let Some(pause) = ejected {
                service.stats().ejections.increment();
                tracing::warn!(instance = %upstream.instance(), ?pause, "fails again and again: left out");
            }
        }
    }
    match admission.and_then(|admission| admission.ends(outcome, &policy.breaker, now)) {
        Some(Change::Opened { pause }) => {
            service.stats().breaker_opened.increment();
            tracing::warn!(service = %service.name, ?pause, "fails again and again: left alone");
        }
        Some(Change::Closed) => tracing::warn!(service = %service.name, "answers again"),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, grpc_status: Option<&str>, expected: Outcome) {
        let answer = Response::builder().status(status).header("content-type", "application/grpc");
        let answer = match grpc_status {
            Some(grpc_status) => answer.header("grpc-status", grpc_status),
            None => answer,
        };
        assert_eq!(of_answer(&answer.body(()).unwrap()), expected, "{status} {grpc_status:?}");
    }

    #[test]
    fn a_call_that_was_not_taken_failed_whatever_http_says() {
        check(200, None, Outcome::Success);
        check(200, Some("14"), Outcome::Failure);
        check(200, Some("8"), Outcome::TooMany);
        // What went wrong in the call itself says nothing about who answered it.
        for fine in ["0", "1", "2", "3", "4", "5", "12", "13", "16", "140", "x", ""] {
            check(200, Some(fine), Outcome::Success);
        }
        check(503, Some("0"), Outcome::Failure);
        check(429, None, Outcome::TooMany);
    }
}
