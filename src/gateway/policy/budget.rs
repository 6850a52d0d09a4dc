//! How many requests of a service may be open, and how many of those may be retries.
//!
//! Retries repair single faults. When everything fails they would double the load on what is already
//! overloaded, so they may only be a share of what is open. Both counts are taken and given back
//! atomically, so that no number of threads exceeds them together.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::model::traffic::RetryPolicy;

/// The open requests of one service. Nothing in it locks.
#[derive(Debug, Default)]
pub struct Load {
    open: AtomicU32,
    retries: AtomicU32,
}

/// The service has as many open requests as it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// The right to one more try; the try ends when it is dropped.
#[derive(Debug)]
#[must_use = "the try ends when it is dropped"]
pub struct Retry<'l>(&'l Load);

impl Load {
    /// One more open request, if there are fewer than `most`. Whoever entered has to [leave](Self::leave).
    pub fn enter(&self, most: u32) -> Result<(), Full> {
        take(&self.open, most).ok_or(Full)
    }

    pub fn leave(&self) {
        self.open.fetch_sub(1, Ordering::AcqRel);
    }

    pub fn open(&self) -> u32 {
        self.open.load(Ordering::Acquire)
    }

    pub fn retries(&self) -> u32 {
        self.retries.load(Ordering::Acquire)
    }

    /// `None`: the budget is used up.
    pub fn retry(&self, policy: &RetryPolicy) -> Option<Retry<'_>> {
        take(&self.retries, most_retries(self.open(), policy)).map(|()| Retry(self))
    }
}

impl Drop for Retry<'_> {
    fn drop(&mut self) {
        self.0.retries.fetch_sub(1, Ordering::AcqRel);
    }
}

/// How many retries may be on their way while so many requests are open.
pub fn most_retries(open: u32, policy: &RetryPolicy) -> u32 {
    let share = (f64::from(open) * policy.budget.clamp(0.0, 1.0)).floor();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and `open`")]
    let share = share as u32;
    share.max(policy.min_concurrent)
}

/// The pause before the n-th retry, counted from 1: anything up to a bound that doubles, so that
/// those who failed together do not come back together.
pub fn backoff(retry: u32, random: u64) -> Duration {
    const BASE: Duration = Duration::from_millis(25);
    const CAP: Duration = Duration::from_millis(250);
    let bound = BASE.saturating_mul(1 << retry.saturating_sub(1).min(16)).min(CAP);
    Duration::from_nanos(random % u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX))
}

fn take(count: &AtomicU32, most: u32) -> Option<()> {
    let more = |taken| (taken < most).then_some(taken + 1);
    count.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok().map(|_| ())
}
