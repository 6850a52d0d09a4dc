//! An instance that is in some condition.

use std::cell::Cell;
use std::time::{Duration, Instant};

use http::StatusCode;

use crate::gateway::policy::balance::Candidate;
use crate::gateway::policy::outlier::Outlier;
use crate::gateway::policy::rendezvous::hash;
use crate::gateway::policy::retry::Failure;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Fine,
    Slow,
    /// Answers with 503.
    Failing,
    Refusing,
    /// Never answers.
    Hung,
}

impl Condition {
    pub const ALL: [Self; 5] = [Self::Fine, Self::Slow, Self::Failing, Self::Refusing, Self::Hung];
}

pub struct Replica {
    identity: u64,
    ready_since: Instant,
    pub outlier: Outlier,
    in_flight: Cell<usize>,
    condition: Cell<Condition>,
}

impl Replica {
    pub fn new(number: usize, ready_since: Instant) -> Self {
        Self {
            identity: hash(&number.to_le_bytes()),
            ready_since,
            outlier: Outlier::new(ready_since),
            in_flight: Cell::new(0),
            condition: Cell::new(Condition::Fine),
        }
    }

    pub fn becomes(&self, condition: Condition) {
        self.condition.set(condition);
    }

    /// How a try that begins now will end, and after how long.
    pub fn begins(&self, random: &mut fastrand::Rng) -> (Option<Failure>, Duration) {
        self.in_flight.set(self.in_flight.get() + 1);
        let mut millis = |range| Duration::from_millis(random.u64(range));
        let failing = Failure::Status { status: StatusCode::SERVICE_UNAVAILABLE, retry_after: None };
        match self.condition.get() {
            Condition::Fine => (None, millis(5..15)),
            Condition::Slow => (None, millis(500..700)),
            Condition::Failing => (Some(failing), millis(1..3)),
            Condition::Refusing => (Some(Failure::Connect), Duration::from_micros(200)),
            Condition::Hung => (Some(Failure::Late), Duration::from_secs(1)),
        }
    }

    pub fn ends(&self) {
        self.in_flight.set(self.in_flight.get() - 1);
    }
}

impl Candidate for Replica {
    fn identity(&self) -> u64 {
        self.identity
    }

    fn in_flight(&self) -> usize {
        self.in_flight.get()
    }

    fn ready_since(&self) -> Instant {
        self.ready_since
    }

    fn is_healthy(&self, now: Instant) -> bool {
        !self.outlier.is_ejected(now)
    }
}
