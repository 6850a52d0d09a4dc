//! A try that has ended, and what it says.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, Request};

use super::access_log::Record;
use super::exchange::{Answer, ExchangeError, Unanswered, Watched, exchange};
use super::policy::balance::Tried;
use super::policy::breaker::Outcome;
use super::policy::retry::{Failure, RequestBody as Replay, Written};
use super::upload::RequestBody;
use super::upstream::Lease;
use super::verdict;

/// A try that has ended.
pub(super) struct Tally {
    pub(super) lease: Lease,
    pub(super) result: Result<Answer, Unanswered>,
}

impl Tally {
    pub(super) async fn of(
        lease: Lease,
        tried: &mut Tried,
        request: Box<Request<RequestBody>>,
        watched: &Watched,
        record: &mut Record,
    ) -> Self {
        tried.add(&**lease.upstream());
        record.goes_to(lease.upstream());
        let result = exchange(&lease, request, watched, record.tries()).await;
        Self { lease, result }
    }

    /// Whether nothing of the request has reached the instance, because nobody answers there.
    pub(super) fn has_missed(&self) -> bool {
        matches!(&self.result, Err(Unanswered { error: ExchangeError::Connect(_), again: Some(_) }))
    }

    pub(super) fn outcome(&self) -> Option<Outcome> {
        match &self.result {
            Ok(answer) => Some(verdict::of_answer(&answer.response)),
            Err(failed) => verdict::of_error(&failed.error),
        }
    }

    /// What another try would have to make good; `None` where the answer is the last word.
    pub(super) fn failure(&self) -> Option<(Failure, Written, Replay)> {
        match &self.result {
            Ok(answer) => {
                let (status, headers) = (answer.response.status(), answer.response.headers());
                let failure = Failure::Status { status, retry_after: retry_after(headers) };
                let is_refusal = verdict::of_status(status) == Outcome::Failure;
                is_refusal.then_some((failure, Written::Something, answer.spare.replay()))
            }
            Err(Unanswered { error, again }) => {
                let failure = match error {
                    ExchangeError::Connect(_) => Failure::Connect,
                    ExchangeError::Broken(_) => Failure::Reset,
                    ExchangeError::Late => Failure::Late,
                    _ => Failure::Other,
                };
                let replay = if again.is_some() { Replay::Whole } else { Replay::Gone };
                Some((failure, again.as_ref().map_or(Written::Something, |again| again.written), replay))
            }
        }
    }
}

/// In seconds; as a date it is no invitation to try at once.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}
