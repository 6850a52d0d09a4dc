//! The arithmetic of one bucket: ITU-T I.371's virtual scheduling, in nanoseconds.

use std::time::Duration;

use super::{Answer, Verdict, nanos};
use crate::model::traffic::RateLimit;

/// A [`RateLimit`] as what is calculated with.
pub(super) struct Cell {
    /// What one request costs: the time until it is made up for. Rounded up, so that the rate is
    /// never exceeded.
    cost: u64,
    burst: u32,
}

impl Cell {
    pub(super) fn of(limit: &RateLimit) -> Self {
        let cost = nanos(limit.period).div_ceil(u64::from(limit.requests.max(1))).max(1);
        Self { cost, burst: limit.burst.max(1) }
    }

    /// `full_at`: when the bucket is full again; any time that is not after `now` means full. Gives
    /// the answer, and `full_at` with the request counted if it was admitted.
    pub(super) fn decide(&self, full_at: u64, now: u64) -> (Answer, u64) {
        let size = self.cost.saturating_mul(u64::from(self.burst));
        let counted = full_at.max(now).saturating_add(self.cost);
        let latest = now.saturating_add(size);
        if counted <= latest {
            let remaining = u32::try_from((latest - counted) / self.cost).unwrap_or(self.burst);
            (self.answer(Verdict::Admitted, remaining, counted - now), counted)
        } else {
            let retry_after = Duration::from_nanos(counted - latest);
            (self.answer(Verdict::Refused { retry_after }, 0, full_at.saturating_sub(now)), full_at)
        }
    }

    fn answer(&self, verdict: Verdict, remaining: u32, reset: u64) -> Answer {
        Answer { verdict, limit: self.burst, remaining, reset: Duration::from_nanos(reset) }
    }
}
