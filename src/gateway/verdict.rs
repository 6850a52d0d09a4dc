//! What an exchange says about the instance that it was with, and about the service.

use std::time::Instant;

use http::StatusCode;

use super::exchange::ExchangeError;
use super::policy::breaker::{Admission, Change, Outcome};
use super::service::Service;
use super::upstream::Upstream;

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

/// Tells everybody who keeps account.
pub(super) fn report(service: &Service, upstream: &Upstream, admission: Admission<'_>, outcome: Outcome) {
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
    match admission.ends(outcome, &policy.breaker, now) {
        Some(Change::Opened { pause }) => {
            service.stats().breaker_opened.increment();
            tracing::warn!(service = %service.name, ?pause, "fails again and again: left alone");
        }
        Some(Change::Closed) => tracing::warn!(service = %service.name, "answers again"),
        None => {}
    }
}
