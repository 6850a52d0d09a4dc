//! Leaving out an instance that keeps failing while others of its service do not.
//!
//! So many failures in a row eject it: for a while it is [not healthy](super::balance::Candidate).
//! Each further ejection lasts longer; an instance that behaves is forgiven one of them for each
//! `ejection` that passes. A passed active check ends an ejection at once.
//!
//! An [`Outlier`] belongs to an instance and is made of atomics; while nothing is wrong, asking it
//! and telling it a success is one load each. [`Ejections`] belongs to the service. It holds a lock
//! while an ejection is decided, never otherwise: two that fail together must not both believe to be
//! the only one.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::numbers::float;
use crate::model::traffic::OutlierPolicy;

/// What is held against one instance.
#[derive(Debug)]
pub struct Outlier {
    born: Instant,
    /// In a row.
    failures: AtomicU32,
    /// The end of the last ejection in nanoseconds since `born`; 0: there was none.
    ejected_until: AtomicU64,
    ejections: AtomicU32,
}

/// The ejections of one service's instances.
#[derive(Debug, Default)]
pub struct Ejections {
    deciding: Mutex<()>,
}

impl Outlier {
    pub fn new(now: Instant) -> Self {
        let (failures, ejected_until) = (AtomicU32::new(0), AtomicU64::new(0));
        Self { born: now, failures, ejected_until, ejections: AtomicU32::new(0) }
    }

    pub fn is_ejected(&self, now: Instant) -> bool {
        let until = self.ejected_until.load(Ordering::Relaxed);
        until != 0 && self.nanos(now) < until
    }

    /// An answer that is no failure came.
    pub fn succeeded(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// An active check passed: the instance is trusted again. How often it was ejected is remembered.
    pub fn check_passed(&self, now: Instant) {
        if self.is_ejected(now) {
            self.failures.store(0, Ordering::Relaxed);
            self.ejected_until.store(self.nanos(now).max(1), Ordering::Relaxed);
        }
    }

    /// What answers while it is ejected was asked before, or in panic: that is known already.
    fn fails_too_often(&self, policy: &OutlierPolicy, now: Instant) -> bool {
        if policy.consecutive_failures == 0 || self.is_ejected(now) {
            return false;
        }
        self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1) >= policy.consecutive_failures
    }

    fn eject(&self, policy: &OutlierPolicy, now: Instant) -> Duration {
        let count = self.remembered(policy, now).saturating_add(1);
        let pause = policy.ejection.saturating_mul(count).min(policy.max_ejection);
        self.failures.store(0, Ordering::Relaxed);
        self.ejections.store(count, Ordering::Relaxed);
        self.ejected_until.store(self.nanos(now + pause).max(1), Ordering::Relaxed);
        pause
    }

    /// Ejections that are not forgiven yet.
    fn remembered(&self, policy: &OutlierPolicy, now: Instant) -> u32 {
        let quiet = self.nanos(now).saturating_sub(self.ejected_until.load(Ordering::Relaxed));
        let forgiven = u128::from(quiet).checked_div(policy.ejection.as_nanos()).unwrap_or(0);
        self.ejections.load(Ordering::Relaxed).saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX))
    }

    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.born).as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Ejections {
    /// `failing`, one of `all`, gave a failure. How long it is left out, if this ejects it.
    pub fn failed<'o, I>(
        &self,
        failing: &Outlier,
        all: impl Fn() -> I,
        policy: &OutlierPolicy,
        now: Instant,
    ) -> Option<Duration>
    where
        I: Iterator<Item = &'o Outlier>,
    {
        if !failing.fails_too_often(policy, now) {
            return None;
        }
        let _deciding = self.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        let ejected = all().filter(|other| other.is_ejected(now)).count();
        let may = !failing.is_ejected(now) && ejected < most(all().count(), policy.max_share);
        may.then(|| failing.eject(policy, now))
    }
}

/// How many of `count` may be ejected at once.
fn most(count: usize, max_share: f64) -> usize {
    let within = |&ejected: &usize| float(ejected) <= max_share * float(count);
    (1..=count).take_while(within).last().unwrap_or(1)
}

#[cfg(test)]
mod tests;
