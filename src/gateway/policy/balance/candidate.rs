//! An instance as balancing sees it, and those that a request was at already.

use std::sync::Arc;
use std::time::Instant;

/// What balancing sees of an instance.
pub trait Candidate {
    /// Tells instances apart, and ranks them for [`Method::Consistent`](super::Method::Consistent): the
    /// [`hash`](crate::gateway::policy::rendezvous::hash) of the name, made once.
    fn identity(&self) -> u64;

    /// Requests that are open at it.
    fn in_flight(&self) -> usize;

    /// Since when it takes requests.
    fn ready_since(&self) -> Instant;

    /// Whether nothing speaks against it: neither ejected nor failing its checks.
    fn is_healthy(&self, now: Instant) -> bool;

    /// Its share compared to that of the strongest instance: above 0, at most 1.
    fn weight(&self) -> f64 {
        1.0
    }
}

impl<C: Candidate> Candidate for Arc<C> {
    fn identity(&self) -> u64 {
        (**self).identity()
    }

    fn in_flight(&self) -> usize {
        (**self).in_flight()
    }

    fn ready_since(&self) -> Instant {
        (**self).ready_since()
    }

    fn is_healthy(&self, now: Instant) -> bool {
        (**self).is_healthy(now)
    }

    fn weight(&self) -> f64 {
        (**self).weight()
    }
}

/// The instances that a request was at already: the last few of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tried {
    identities: [u64; 4],
    count: usize,
}

impl Tried {
    pub const NOBODY: Self = Self { identities: [0; 4], count: 0 };

    pub fn add(&mut self, candidate: &impl Candidate) {
        self.identities[self.count % self.identities.len()] = candidate.identity();
        self.count += 1;
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn contains(&self, candidate: &impl Candidate) -> bool {
        self.identities.iter().take(self.count).any(|&identity| identity == candidate.identity())
    }
}
