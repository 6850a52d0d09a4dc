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

/// The right to one more try, which is over when this is dropped.
#[derive(Debug)]
#[must_use = "the try is over when it is dropped"]
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

    /// Retries that are on their way.
    #[cfg(test)]
    pub fn retries(&self) -> u32 {
        self.retries.load(Ordering::Acquire)
    }

    /// `None`: the budget is used up.
    pub fn retry(&self, policy: &RetryPolicy) -> Option<Retry<'_>> {
        take(&self.retries, most_retries(self.open(), policy)).map(|()| Retry(self))
    }

    /// One that the budget does not bound, but is in it.
    pub fn retry_regardless(&self) -> Retry<'_> {
        self.retries.fetch_add(1, Ordering::AcqRel);
        Retry(self)
    }
}

impl Drop for Retry<'_> {
    fn drop(&mut self) {
        self.0.retries.fetch_sub(1, Ordering::AcqRel);
    }
}

fn take(count: &AtomicU32, most: u32) -> Option<()> {
    let more = |taken| (taken < most).then_some(taken + 1);
    count.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok().map(drop)
}

/// How many retries may be on their way while so many requests are open.
pub fn most_retries(open: u32, policy: &RetryPolicy) -> u32 {
    let share = (f64::from(open) * policy.budget.clamp(0.0, 1.0)).floor();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and `open`")]
    let share = share as u32;
    share.max(policy.min_concurrent)
}

const BASE: Duration = Duration::from_millis(25);
const CAP: Duration = Duration::from_millis(250);

/// The pause before the n-th retry, counted from 1: anything up to a bound that doubles, so that
/// those who failed together do not come back together.
pub fn backoff(retry: u32, random: u64) -> Duration {
    let bound = BASE.saturating_mul(1 << retry.saturating_sub(1).min(16)).min(CAP);
    Duration::from_nanos(random % u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_few_retries_are_always_allowed_and_beyond_them_a_share() {
        let policy = RetryPolicy::default();
        for (open, most) in [(0, 3), (1, 3), (15, 3), (19, 3), (20, 4), (1000, 200)] {
            assert_eq!(most_retries(open, &policy), most, "{open} open");
        }
    }

    #[test]
    fn a_retry_that_is_over_makes_room_for_another() {
        let (load, policy) = (Load::default(), RetryPolicy { min_concurrent: 1, ..RetryPolicy::default() });
        let first = load.retry(&policy);
        assert!(first.is_some());
        assert!(load.retry(&policy).is_none());
        drop(first);
        assert!(load.retry(&policy).is_some());
    }

    #[test]
    fn threads_exceed_neither_bound_together() {
        let (load, policy) = (Load::default(), RetryPolicy { min_concurrent: 2, ..RetryPolicy::default() });
        let tries = || {
            for _ in 0..2000 {
                if load.enter(3) == Ok(()) {
                    let retry = load.retry(&policy);
                    assert!(load.open() <= 3 && load.retries() <= 2);
                    drop(retry);
                    load.leave();
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(tries);
            }
        });
        assert_eq!((load.open(), load.retries()), (0, 0));
    }

    #[test]
    fn the_pause_is_anything_up_to_a_bound_that_doubles_to_a_cap() {
        for (retry, bound) in [(1, 25), (2, 50), (3, 100), (4, 200), (5, 250), (u32::MAX, 250)] {
            let bound = Duration::from_millis(bound);
            assert_eq!(backoff(retry, 0), Duration::ZERO);
            let nanos = u64::try_from(bound.as_nanos()).unwrap();
            assert_eq!(backoff(retry, nanos - 1), Duration::from_nanos(nanos - 1));
            assert_eq!(backoff(retry, nanos), Duration::ZERO);
        }
    }

    proptest! {
        #[test]
        fn neither_bound_is_ever_exceeded(
            events in prop::collection::vec(0_u8..4, 0..300), most in 0_u32..40,
            share in 0.0_f64..1.5, least in 0_u32..5,
        ) {
            let policy = RetryPolicy { budget: share, min_concurrent: least, ..RetryPolicy::default() };
            let load = Load::default();
            let (mut open, mut held) = (0, Vec::new());
            for event in events {
                match event {
                    0 => {
                        prop_assert_eq!(load.enter(most).is_ok(), open < most);
                        open = most.min(open + 1);
                    }
                    1 if open > 0 => {
                        load.leave();
                        open -= 1;
                    }
                    2 => drop(held.pop()),
                    _ => {
                        if let Some(retry) = load.retry(&policy) {
                            held.push(retry);
                            let allowed = f64::from(open) * share.min(1.0);
                            prop_assert!(f64::from(load.retries()) <= allowed.max(f64::from(least)));
                        }
                    }
                }
                prop_assert_eq!((load.open(), load.retries() as usize), (open, held.len()));
            }
        }
    }
}
