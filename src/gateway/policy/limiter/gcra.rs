//! The arithmetic of one bucket: ITU-T I.371's virtual scheduling, in nanoseconds.

use std::time::Duration;

use super::{Answer, Verdict, nanos};
use crate::model::traffic::RateLimit;

/// A [`RateLimit`] as what is calculated with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    burst: u32,
    /// What one request costs: the time until it is made up for. Rounded up, so that the rate is
    /// never exceeded.
    cost: u64,
    /// What may be owed at once.
    size: u64,
}

impl Cell {
    pub(super) fn of(limit: &RateLimit) -> Self {
        let cost = nanos(limit.period).div_ceil(u64::from(limit.requests.max(1))).max(1);
        let burst = limit.burst.max(1);
        Self { burst, cost, size: cost.saturating_mul(u64::from(burst)) }
    }

    /// `full_at`: when the bucket is full again; any time that is not after `now` means full. Gives
    /// the answer, and `full_at` with the request counted if it was admitted.
    pub(super) fn decide(self, full_at: u64, now: u64) -> (Answer, u64) {
        let owed = full_at.saturating_sub(now);
        let after = owed.saturating_add(self.cost);
        if after <= self.size {
            (self.answer(Verdict::Admitted, after), now.saturating_add(after))
        } else {
            let retry_after = Duration::from_nanos(after - self.size);
            (self.answer(Verdict::Refused { retry_after }, owed), full_at)
        }
    }

    /// `owed` is how long it takes until the bucket is full.
    fn answer(self, verdict: Verdict, owed: u64) -> Answer {
        let remaining = u32::try_from(self.size.saturating_sub(owed) / self.cost).unwrap_or(self.burst);
        Answer { verdict, limit: self.burst, remaining, reset: Duration::from_nanos(owed) }
    }
}
