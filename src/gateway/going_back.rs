//! What becomes of requests when a new instance ends that has just taken over.
//!
//! Whoever it has replaced still runs then, and is called back as soon as its end is noticed. Until a
//! table says so, a request that could not reach it waits: of it nothing was sent. What was sent can be
//! asked again if its method allows that; that is for [`policy::retry`](super::policy::retry) to say.
//!
//! Nobody is asked before being called back. An old version is to answer only when the new one cannot,
//! and that a connection was refused does not say so.

use tokio::time::{Instant, timeout_at};

use super::access_log::Record;
use super::attempts::Asking;
use super::exchange::{ExchangeError, Unanswered, Watched};
use super::metrics::RetryReason;
use super::policy::balance::Tried;
use super::proxy::Gateway;
use super::tally::Tally;
use super::trace_context::TraceContext;
use super::upstream::{Lease, Upstream};

impl Gateway {
    /// Whether what failed here says nothing about the service: the instance is gone, or is on trial.
    pub(super) fn is_excused(&self, asking: &Asking<'_>, tally: &Tally) -> bool {
        let error = tally.result.as_ref().err().map(|failed| &failed.error);
        matches!(error, Some(ExchangeError::Connect(_) | ExchangeError::Broken(_)))
            && self.is_gone_or_on_trial(asking, tally.lease.upstream())
    }

    fn is_gone_or_on_trial(&self, asking: &Asking<'_>, upstream: &Upstream) -> bool {
        let table = self.routes.borrow();
        let service = table.service(&asking.service.name);
        upstream.is_withdrawn() || service.is_some_and(|now| now.may_go_back_from(upstream.instance()))
    }

    /// Asks whoever is called back in the place of the instance that was not reached. If nobody is, all
    /// stays as it was.
    pub(super) async fn go_back(
        &self,
        asking: &Asking<'_>,
        tried: &mut Tried,
        missed: Tally,
        watched: &mut Watched,
        record: &mut Record,
    ) -> Tally {
        let Some(lease) = self.called_back(asking, tried, &missed, watched).await else { return missed };
        let Tally { lease: gone, result } = missed;
        let Err(Unanswered { error, again: Some(again) }) = result else {
            return Tally { lease: gone, result };
        };
        asking.tell(&error);
        record.tries().again(RetryReason::Connect);
        watched.patience.tries_again(Instant::now());
        let mut request = again.request;
        TraceContext::renew(request.headers_mut());
        Tally::of(lease, tried, request, watched, record).await
    }

    async fn called_back(
        &self,
        asking: &Asking<'_>,
        tried: &Tried,
        missed: &Tally,
        watched: &Watched,
    ) -> Option<Lease> {
        let gone = missed.lease.upstream();
        if !self.is_gone_or_on_trial(asking, gone) {
            return None;
        }
        let limit = Instant::now() + self.limits().recall_wait;
        let limit = watched.patience.deadline.map_or(limit, |deadline| limit.min(deadline));
        timeout_at(limit, self.other(asking, tried, gone)).await.ok().flatten()
    }

    /// Waits as long as somebody may be called back.
    async fn other(&self, asking: &Asking<'_>, tried: &Tried, gone: &Upstream) -> Option<Lease> {
        let mut routes = self.routes.clone();
        loop {
            {
                let table = routes.borrow_and_update();
                let service = table.service(&asking.service.name)?;
                let entered = service.pick_other(asking.preference, tried).map(Upstream::enter);
                if let Some(Ok(lease)) = entered {
                    return Some(lease);
                }
                if !service.may_go_back_from(gone.instance()) {
                    return None;
                }
            }
            routes.changed().await.ok()?;
        }
    }
}
