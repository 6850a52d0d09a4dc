//! The share of successes in the last while, in a ring of buckets that expire by themselves.
//!
//! A bucket is one word: the step of time that it counts, and its two counts. Whoever counts in a
//! later step begins it anew; whoever sums passes over what is too old. So nothing has to tick, and
//! a service that nobody asks forgets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::model::traffic::BreakerPolicy;

const BUCKETS: u32 = 10;

#[derive(Debug, Default)]
pub(super) struct Rate([AtomicU64; BUCKETS as usize]);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Bucket {
    /// Modulo 2^24.
    step: u32,
    successes: u32,
    failures: u32,
}

const STEPS: u32 = (1 << 24) - 1;
const MOST: u32 = (1 << 20) - 1;

impl Rate {
    /// `age` is the time since any fixed point, the same for all calls.
    pub(super) fn succeeded(&self, age: Duration, window: Duration) {
        self.count(step(age, window), |bucket| bucket.successes = (bucket.successes + 1).min(MOST));
    }

    pub(super) fn failed(&self, age: Duration, window: Duration) {
        self.count(step(age, window), |bucket| bucket.failures = (bucket.failures + 1).min(MOST));
    }

    pub(super) fn is_too_low(&self, age: Duration, policy: &BreakerPolicy) -> bool {
        let (successes, failures) = self.sums(step(age, policy.window));
        let answers = successes + failures;
        answers >= policy.minimum && f64::from(successes) < policy.success_rate * f64::from(answers)
    }

    pub(super) fn clear(&self) {
        for bucket in &self.0 {
            bucket.store(Bucket::default().packed(), Ordering::Relaxed);
        }
    }

    fn count(&self, step: u32, add: impl Fn(&mut Bucket)) {
        let counted = |word| {
            let mut bucket = Bucket::unpacked(word);
            if bucket.step != step {
                bucket = Bucket { step, ..Bucket::default() };
            }
            add(&mut bucket);
            Some(bucket.packed())
        };
        // It always counts, so there is no failure to look at.
        let _ = self.0[(step % BUCKETS) as usize].fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted);
    }

    fn sums(&self, now: u32) -> (u32, u32) {
        let buckets = self.0.iter().map(|word| Bucket::unpacked(word.load(Ordering::Relaxed)));
        let recent = buckets.filter(|bucket| now.wrapping_sub(bucket.step) & STEPS < BUCKETS);
        recent.fold((0, 0), |(ok, bad), bucket| (ok + bucket.successes, bad + bucket.failures))
    }
}

fn step(age: Duration, window: Duration) -> u32 {
    let width = (window.as_nanos() / u128::from(BUCKETS)).max(1);
    u32::try_from((age.as_nanos() / width) & u128::from(STEPS)).unwrap_or(STEPS)
}

impl Bucket {
    fn packed(self) -> u64 {
        u64::from(self.step) << 40 | u64::from(self.successes) << 20 | u64::from(self.failures)
    }

    fn unpacked(word: u64) -> Self {
        let field = |shift: u32, mask: u32| u32::try_from(word >> shift & u64::from(mask)).unwrap_or(mask);
        Self { step: field(40, STEPS), successes: field(20, MOST), failures: field(0, MOST) }
    }
}
