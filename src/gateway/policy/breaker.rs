//! Leaving alone a service that fails as a whole, so that neither it nor its clients waste time.
//!
//! ```text
//! Closed --failures in a row, or too few successes--> Open --the pause is over--> HalfOpen
//!   ^                                                  ^                            | one request tries
//!   '--------------------------------------------------|--------success-------------|
//!                                                      '--failure: a longer pause---'
//! ```
//!
//! All of the state is one atomic word, so that of many requests which find the pause over exactly one
//! becomes the probe. The word counts the trips: what was let in before a trip does not judge what
//! came after it, so late time-outs do not reopen a breaker that a probe has just closed.
//!
//! While all is well, a request costs one load to be let in, and a load and a counter to be reported.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use self::rate::Rate;
use self::word::{Phase, Word};
use crate::model::traffic::BreakerPolicy;

mod rate;
mod word;

/// The breaker of one service. Nothing in it locks.
#[derive(Debug)]
pub struct Breaker {
    born: Instant,
    word: AtomicU64,
    /// In a row.
    failures: AtomicU32,
    /// Trips since a probe last succeeded.
    pauses: AtomicU32,
    rate: Rate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Closed,
    Open { until: Instant },
    HalfOpen,
}

/// How a try ended, as far as the service is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Any answer that is not one of the others, 4xx included.
    Success,
    /// No connection, no head in time, broken off before it, or 502, 503, 504.
    Failure,
    /// 429: counts in the rate only, and fails a probe.
    TooMany,
}

/// What a report has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Opened { pause: Duration },
    Closed,
}

/// The breaker is open, or somebody else is trying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// When it is worth asking again; zero: at any time.
    pub retry_after: Duration,
}

/// The right to one try. Dropped without a report, as when the client goes away, it says nothing
/// about the service; if it was the probe, the next request is.
#[derive(Debug)]
#[must_use = "dropping it reports nothing"]
pub struct Admission<'b> {
    breaker: &'b Breaker,
    trips: u32,
    is_probe: bool,
}

impl Breaker {
    pub fn new(now: Instant) -> Self {
        let (failures, pauses) = (AtomicU32::new(0), AtomicU32::new(0));
        Self {
            born: now,
            word: AtomicU64::new(Word::FIRST.packed()),
            failures,
            pauses,
            rate: Rate::default(),
        }
    }

    pub fn admit(&self, now: Instant) -> Result<Admission<'_>, Refused> {
        let word = self.word();
        match word.phase {
            Phase::Closed => Ok(Admission { breaker: self, trips: word.trips, is_probe: false }),
            Phase::HalfOpen => Err(Refused { retry_after: Duration::ZERO }),
            Phase::Open { until } => match until.checked_sub(self.age(now)) {
                Some(retry_after) if !retry_after.is_zero() => Err(Refused { retry_after }),
                _ => self.probe(word),
            },
        }
    }

    pub fn state(&self) -> State {
        match self.word().phase {
            Phase::Closed => State::Closed,
            Phase::Open { until } => State::Open { until: self.born + until },
            Phase::HalfOpen => State::HalfOpen,
        }
    }

    fn probe(&self, seen: Word) -> Result<Admission<'_>, Refused> {
        if self.turn(seen, Phase::HalfOpen) {
            Ok(Admission { breaker: self, trips: seen.trips, is_probe: true })
        } else {
            Err(Refused { retry_after: Duration::ZERO })
        }
    }

    fn probed(&self, seen: Word, outcome: Outcome, policy: &BreakerPolicy, now: Instant) -> Option<Change> {
        if outcome != Outcome::Success {
            return self.open(seen, policy, now);
        }
        self.failures.store(0, Ordering::Relaxed);
        self.pauses.store(0, Ordering::Relaxed);
        self.rate.clear();
        self.turn(seen, Phase::Closed).then_some(Change::Closed)
    }

    fn judged(&self, seen: Word, outcome: Outcome, policy: &BreakerPolicy, now: Instant) -> Option<Change> {
        let age = self.age(now);
        if outcome == Outcome::Success {
            if self.failures.load(Ordering::Relaxed) != 0 {
                self.failures.store(0, Ordering::Relaxed);
            }
            self.rate.succeeded(age, policy.window);
            return None;
        }
        self.rate.failed(age, policy.window);
        let too_many_in_a_row = outcome == Outcome::Failure && self.fails_in_a_row(policy);
        let trips = too_many_in_a_row || self.rate.is_too_low(age, policy);
        if trips { self.open(seen, policy, now) } else { None }
    }

    fn fails_in_a_row(&self, policy: &BreakerPolicy) -> bool {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        policy.consecutive_failures != 0 && failures >= policy.consecutive_failures
    }

    /// Only the first of those who see the same trip coming makes it.
    fn open(&self, seen: Word, policy: &BreakerPolicy, now: Instant) -> Option<Change> {
        let doublings = self.pauses.load(Ordering::Relaxed).min(31);
        let pause = policy.pause.saturating_mul(1 << doublings).min(policy.max_pause);
        let turned = self.turn(seen, Phase::Open { until: self.age(now) + pause });
        turned.then(|| {
            self.pauses.fetch_add(1, Ordering::Relaxed);
            Change::Opened { pause }
        })
    }

    fn turn(&self, seen: Word, phase: Phase) -> bool {
        let next = seen.then(phase).packed();
        self.word.compare_exchange(seen.packed(), next, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn word(&self) -> Word {
        Word::unpacked(self.word.load(Ordering::Acquire))
    }

    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.born)
    }
}

impl Admission<'_> {
    #[cfg(test)]
    pub fn is_probe(&self) -> bool {
        self.is_probe
    }

    /// How the try went. The change, if there is one, is told to one caller only.
    pub fn ends(self, outcome: Outcome, policy: &BreakerPolicy, now: Instant) -> Option<Change> {
        let (breaker, is_probe) = (self.breaker, self.is_probe);
        let seen = breaker.word();
        let is_current = seen.trips == self.trips;
        std::mem::forget(self);
        match seen.phase {
            Phase::HalfOpen if is_probe => breaker.probed(seen, outcome, policy, now),
            Phase::Closed if is_current => breaker.judged(seen, outcome, policy, now),
            _ => None,
        }
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            let over = Phase::Open { until: Duration::ZERO };
            self.breaker.turn(self.breaker.word(), over);
        }
    }
}

#[cfg(test)]
mod tests;
