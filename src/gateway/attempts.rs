//! Asks the instances of a service, one after the other, until one has answered for good.
//!
//! What a try says about the instance is told to everybody who keeps account (`verdict`); whether
//! there is another one is decided by [`policy::retry`](super::policy::retry) and bounded by the
//! service's budget. Nothing of an answer has been passed on as long as there may be another try.
//!
//! An instance that replaced another one a moment ago is on trial: should it end, the other is called
//! back (`going_back`). What fails at it is neither held against its service nor bounded by the budget.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use hyper::body::Incoming;
use tokio::time::{sleep, timeout};

use super::access_log::Record;
use super::exchange::{ExchangeError, Watched};
use super::grpc;
use super::informational::Early;
use super::metrics::RetryReason;
use super::patience::Patience;
use super::policy::balance::Tried;
use super::policy::budget::{Retry, backoff};
use super::policy::retry::{self, Asked, Decision, Failed, Failure, RequestBody as Replay, Written};
use super::problem::Problem;
use super::proxied_body::OnDeadline;
use super::proxy::{Answered, Gateway};
use super::service::{Preference, Service};
use super::table::RouteTable;
use super::tally::Tally;
use super::trace_context::TraceContext;
use super::upload::{self, RequestBody, UploadState};
use super::upstream::{Lease, Upstream};
use super::verdict;
use super::visit::Visit;
use crate::model::name::ServiceName;
use crate::model::traffic::{RoutePolicy, UpstreamProtocol};

/// Asks not to retry: whoever sends it does so itself.
const X_MSCTL_NO_RETRY: HeaderName = HeaderName::from_static("x-msctl-no-retry");
/// Which try this is, from the second on.
const X_MSCTL_ATTEMPT: HeaderName = HeaderName::from_static("x-msctl-attempt");

/// How many tries at an instance on trial do not count: while it ends, it may break several of them.
const TRIES_ON_TRIAL: u32 = 3;

/// How often a request picks again because what it picked was just withdrawn.
const PICKS: usize = 3;

/// Who is asked for what, in all tries the same.
pub(super) struct Asking<'r> {
    pub(super) visit: &'r Visit<'r>,
    pub(super) service: &'r Arc<Service>,
    pub(super) preference: Preference,
    pub(super) policy: &'r RoutePolicy,
    pub(super) method: Method,
    pub(super) asked: Asked,
}

impl Gateway {
    pub(super) async fn ask(
        &self,
        asking: &Asking<'_>,
        request: Box<Request<Incoming>>,
        record: &mut Record,
    ) -> Result<Answered, Problem> {
        let on_deadline = OnDeadline::of(record.call());
        let (mut request, mut watched) = self.watched(asking, request, record.call());
        record.uploads(watched.upload.as_ref());
        let (mut tried, mut number) = (Tried::NOBODY, 1);
        let mut _retry: Option<Retry<'_>> = None;
        let mut setback = None;
        loop {
            // Where nobody is left to ask, what went wrong before is still the reason.
            let tally = self.attempt(asking, &mut tried, request, &mut watched, record).await;
            let tally =
                tally.map_err(|problem| setback.take().map_or(problem, |error| asking.explain(&error)))?;
            let failed = tally.failure();
            let reason = failed.as_ref().map(|(failure, ..)| reason(failure));
            let retry = failed.and_then(|failed| self.retry(asking, &tally, failed, number));
            let (lease, answer, again) = match (tally.result, &retry) {
                (Ok(answer), None) => (tally.lease, Ok((answer.response, answer.connection)), None),
                (Ok(answer), Some(_)) => {
                    (tally.lease, Ok((answer.response, answer.connection)), answer.spare.request())
                }
                (Err(failed), None) => (tally.lease, Err(failed.error), None),
                (Err(failed), Some(_)) => {
                    (tally.lease, Err(failed.error), failed.again.map(|again| again.request))
                }
            };
            let Some(again) = again else {
                let (response, connection) = answer.map_err(|error| asking.explain(&error))?;
                return Ok(Answered { response, connection, watched, on_deadline, lease });
            };
            _retry = retry;
            if let Some(reason) = reason {
                record.tries().again(reason);
            }
            setback = answer.inspect_err(|error| asking.tell(error)).err();
            drop(lease);
            Box::pin(sleep(backoff(number, fastrand::u64(..)))).await;
            number += 1;
            watched.patience.tries_again(Instant::now().into());
            request = again;
            TraceContext::renew(request.headers_mut());
            request.headers_mut().insert(X_MSCTL_ATTEMPT, HeaderValue::from(number));
        }
    }

    /// The right to another try, if it is worth one and the service can bear it.
    fn retry<'r>(
        &self,
        asking: &Asking<'r>,
        tally: &Tally,
        (failure, written, body): (Failure, Written, Replay),
        tries: u32,
    ) -> Option<Retry<'r>> {
        let (policy, asked) = (&asking.policy.retries, asking.asked);
        let is_excused = self.is_excused(asking, tally);
        let tries = if is_excused { tries.saturating_sub(TRIES_ON_TRIAL) } else { tries };
        let failed = Failed { method: &asking.method, failure, written, body, tries, asked };
        if let Decision::Final(_) = retry::decide(&failed, policy) {
            return None;
        }
        let load = &asking.service.state().load;
        if is_excused {
            return Some(load.retry_regardless());
        }
        let right = load.retry(policy);
        if right.is_none() {
            asking.service.stats().budget_exhausted.increment();
        }
        right
    }

    fn watched(
        &self,
        asking: &Asking<'_>,
        request: Box<Request<Incoming>>,
        call: Option<&grpc::Call>,
    ) -> (Box<Request<RequestBody>>, Watched) {
        let (visit, policy) = (asking.visit, asking.policy);
        let (parts, incoming) = request.into_parts();
        let protocol = asking.service.traffic.protocol;
        let (limit, keep) = (policy.max_body.bytes(), upload::kept_for(protocol, &asking.method));
        let (body, upload) = RequestBody::new(incoming, visit.version, limit, keep);
        let watched = Watched {
            upload,
            early: (protocol == UpstreamProtocol::Http1)
                .then(|| Early::new(&visit.session.activity, visit.version)),
            protocol,
            patience: Patience::of(policy, self.limits(), call, Instant::now().into()),
        };
        (Box::new(Request::from_parts(parts, body)), watched)
    }

    async fn attempt(
        &self,
        asking: &Asking<'_>,
        tried: &mut Tried,
        request: Box<Request<RequestBody>>,
        watched: &mut Watched,
        record: &mut Record,
    ) -> Result<Tally, Problem> {
        let service = asking.service;
        let admission = service.state().breaker.admit(Instant::now()).map_err(|refused| {
            Problem::BreakerOpen { service: service.name.clone(), retry_after: refused.retry_after }
        })?;
        let lease = self.enter(asking, tried).await?;
        let mut tally = Tally::of(lease, tried, request, watched, record).await;
        if tally.has_missed() && asking.asked == Asked::Freely {
            // Rare, and boxed so that every request need not be large enough for it.
            tally = Box::pin(self.go_back(asking, tried, tally, watched, record)).await;
        }
        if let Some(outcome) = tally.outcome() {
            let admission = (!self.is_excused(asking, &tally)).then_some(admission);
            verdict::report(service, tally.lease.upstream(), admission, outcome);
        }
        Ok(tally)
    }

    /// Picks an instance and enters it. Where it was withdrawn in between, picks again from a
    /// fresh table, waiting for it a little if it is not there yet.
    async fn enter(&self, asking: &Asking<'_>, tried: &Tried) -> Result<Lease, Problem> {
        if let Ok(lease) = asking.pick(asking.service, tried)?.enter() {
            return Ok(lease);
        }
        // Rare, and boxed so that every request need not be large enough for it.
        Box::pin(self.enter_fresher(asking, tried)).await
    }

    async fn enter_fresher(&self, asking: &Asking<'_>, tried: &Tried) -> Result<Lease, Problem> {
        let name = &asking.service.name;
        let mut table = Arc::clone(asking.visit.table);
        for _ in 1..PICKS {
            table = self.fresher(&table).await;
            let service = table.service(name).ok_or(Problem::NoRoute)?;
            if let Ok(lease) = asking.pick(service, tried)?.enter() {
                return Ok(lease);
            }
        }
        let state = "its instances are being replaced".to_owned();
        Err(Problem::NoneReady { service: name.clone(), state })
    }

    async fn fresher(&self, stale: &Arc<RouteTable>) -> Arc<RouteTable> {
        let mut routes = self.routes.clone();
        let fresh = routes.wait_for(|table| !Arc::ptr_eq(table, stale));
        match timeout(self.limits().table_wait, fresh).await {
            Ok(Ok(table)) => Arc::clone(&table),
            _ => Arc::clone(stale),
        }
    }
}

/// Whether tries after the first are wanted. `headers` are the client's.
pub(super) fn asked(visit: &Visit<'_>, headers: &HeaderMap) -> Asked {
    if headers.contains_key(X_MSCTL_NO_RETRY) {
        Asked::NotToRetry
    } else if visit.session.tasks.is_stopping() {
        Asked::Stopping
    } else {
        Asked::Freely
    }
}

impl Asking<'_> {
    fn pick<'s>(&self, service: &'s Service, tried: &Tried) -> Result<&'s Arc<Upstream>, Problem> {
        service.pick(self.preference, tried).ok_or_else(|| Problem::NoneReady {
            service: service.name.clone(),
            state: service.waiting().to_owned(),
        })
    }

    /// Of a try that another one follows: only whoever looks for it wants to know.
    pub(super) fn tell(&self, error: &ExchangeError) {
        let request_id = self.visit.request_id.to_str().unwrap_or_default();
        tracing::debug!(%request_id, service = %self.service.name, error = chain(error), "try failed");
    }

    /// Of the try that the client is answered by.
    fn explain(&self, error: &ExchangeError) -> Problem {
        let request_id = self.visit.request_id.to_str().unwrap_or_default();
        let service = &self.service.name;
        tracing::warn!(%request_id, %service, error = chain(error), "request failed");
        problem_of(error, service, self.policy)
    }
}

fn reason(failure: &Failure) -> RetryReason {
    match failure {
        Failure::Connect => RetryReason::Connect,
        Failure::Late => RetryReason::Late,
        Failure::Status { .. } => RetryReason::Status,
        Failure::Reset | Failure::Other => RetryReason::Reset,
    }
}

fn problem_of(error: &ExchangeError, service: &ServiceName, policy: &RoutePolicy) -> Problem {
    let service = service.clone();
    match error {
        ExchangeError::Connect(_) => Problem::Unreachable { service },
        ExchangeError::Broken(_) | ExchangeError::Flood => Problem::BadAnswer { service },
        ExchangeError::Late => Problem::AnswerLate { service },
        ExchangeError::Overdue => Problem::TotalLate { service },
        ExchangeError::Upload(UploadState::TooLarge) => {
            Problem::BodyTooLarge { limit: policy.max_body.bytes() }
        }
        ExchangeError::Upload(UploadState::WaitsForClient) => Problem::BodyLate,
        ExchangeError::Upload(UploadState::Malformed) => Problem::BodyMalformed,
        ExchangeError::Upload(_) => Problem::BodyBroken,
    }
}

/// The error with its causes, for the log.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
