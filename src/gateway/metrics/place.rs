//! Where one route and one service are counted.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::Method;

use super::count::{Counter, Histogram, Tally};
use super::{RouteName, RouteReading};
use crate::gateway::flag::Flag;
use crate::model::histogram::Durations;

/// One route's numbers.
#[derive(Debug)]
pub struct RouteStats {
    name: RouteName,
    service: Arc<ServiceStats>,
    answers: Tally,
    durations: Histogram,
    bytes_in: Counter,
    bytes_out: Counter,
}

/// Two are the same only if they are one.
impl PartialEq for RouteStats {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

/// A place that no reading sees, for rules outside of any table.
impl Default for RouteStats {
    fn default() -> Self {
        Self::new(RouteName::default(), Arc::new(ServiceStats::new("")))
    }
}

/// One service's numbers. What is public in here is counted by whoever does it.
#[derive(Debug)]
pub(in crate::gateway) struct ServiceStats {
    name: Box<str>,
    /// From the first try to the head of the answer.
    upstream: Histogram,
    /// Connections to instances: opened, failed to open, and used again.
    pub(in crate::gateway) connects: Counter,
    pub(in crate::gateway) connect_failures: Counter,
    pub(in crate::gateway) reuses: Counter,
    retries: [[Counter; 2]; RetryReason::ALL.len()],
    /// Retries that were not made because too many were under way.
    pub(in crate::gateway) budget_exhausted: Counter,
    /// How often an instance was left out for a while.
    pub(in crate::gateway) ejections: Counter,
    pub(in crate::gateway) breaker_opened: Counter,
}

/// Why a request was sent once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum RetryReason {
    /// The connection had been closed while it was idle.
    Stale,
    Connect,
    Reset,
    Status,
    Late,
}

/// What the request came to after its retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum RetryOutcome {
    Answered,
    Failed,
}

/// How a request went.
#[derive(Debug, Clone, Default)]
pub(in crate::gateway) struct Answer {
    pub(in crate::gateway) method: Method,
    pub(in crate::gateway) status: u16,
    pub(in crate::gateway) flag: Option<Flag>,
    pub(in crate::gateway) total: Duration,
    pub(in crate::gateway) bytes_in: u64,
    pub(in crate::gateway) bytes_out: u64,
}

/// Some requests of a route that went alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Alike {
    pub(super) method: &'static str,
    pub(super) status: u16,
    pub(super) flag: &'static str,
    pub(super) count: u64,
}

impl RouteStats {
    pub(super) fn new(name: RouteName, service: Arc<ServiceStats>) -> Self {
        Self {
            name,
            service,
            answers: Tally::default(),
            durations: Histogram::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
        }
    }

    pub(in crate::gateway) fn name(&self) -> &RouteName {
        &self.name
    }

    pub(in crate::gateway) fn service(&self) -> &Arc<ServiceStats> {
        &self.service
    }

    pub(in crate::gateway) fn count(&self, answer: &Answer) {
        self.answers.add(key(answer));
        self.durations.observe(answer.total);
        self.carried(answer.bytes_in, answer.bytes_out);
    }

    /// Bytes of bodies, and of tunnels.
    pub(in crate::gateway) fn carried(&self, bytes_in: u64, bytes_out: u64) {
        if bytes_in > 0 {
            self.bytes_in.add(bytes_in);
        }
        if bytes_out > 0 {
            self.bytes_out.add(bytes_out);
        }
    }

    pub(in crate::gateway) fn reading(&self) -> RouteReading {
        let answers = self.answers();
        let count = |counts: &dyn Fn(&Alike) -> bool| {
            answers.iter().filter(|alike| counts(alike)).map(|alike| alike.count).sum()
        };
        RouteReading {
            service: self.name.service.to_string(),
            route: self.name.route.to_string(),
            methods: self.name.methods.to_string(),
            hosts: self.name.hosts.to_string(),
            requests: count(&|_| true),
            errors: count(&|alike| alike.status >= 500),
            durations: self.durations.reading(),
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
        }
    }

    pub(super) fn answers(&self) -> Vec<Alike> {
        let known = self.answers.reading().into_iter().map(|(key, count)| alike(key, count));
        let others = Alike { method: OTHER, status: 0, flag: "", count: self.answers.others() };
        known.chain((others.count > 0).then_some(others)).collect()
    }

    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.bytes_in.get(), self.bytes_out.get())
    }

    pub(super) fn durations(&self) -> Durations {
        self.durations.reading()
    }
}

impl ServiceStats {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            upstream: Histogram::default(),
            connects: Counter::default(),
            connect_failures: Counter::default(),
            reuses: Counter::default(),
            retries: Default::default(),
            budget_exhausted: Counter::default(),
            ejections: Counter::default(),
            breaker_opened: Counter::default(),
        }
    }

    pub(in crate::gateway) fn name(&self) -> &str {
        &self.name
    }

    /// After so long the head of an answer was there.
    pub(in crate::gateway) fn answered_after(&self, duration: Duration) {
        self.upstream.observe(duration);
    }

    pub(in crate::gateway) fn retried(&self, reason: RetryReason, outcome: RetryOutcome) {
        self.retries[reason as usize][outcome as usize].increment();
    }

    pub(super) fn upstream(&self) -> Durations {
        self.upstream.reading()
    }

    /// Reason, outcome, and how often.
    pub(super) fn retries(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
        let of = |reason: RetryReason, outcome: RetryOutcome| {
            let count = self.retries[reason as usize][outcome as usize].get();
            (reason.as_str(), outcome.as_str(), count)
        };
        let outcomes = [RetryOutcome::Answered, RetryOutcome::Failed];
        RetryReason::ALL.into_iter().flat_map(move |reason| outcomes.map(|outcome| of(reason, outcome)))
    }
}

impl RetryReason {
    const ALL: [Self; 5] = [Self::Stale, Self::Connect, Self::Reset, Self::Status, Self::Late];

    fn as_str(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Connect => "connect",
            Self::Reset => "reset",
            Self::Status => "status",
            Self::Late => "timeout",
        }
    }
}

impl RetryOutcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed => "failed",
        }
    }
}

const METHODS: [Method; 9] = [
    Method::GET,
    Method::POST,
    Method::HEAD,
    Method::PUT,
    Method::DELETE,
    Method::OPTIONS,
    Method::PATCH,
    Method::CONNECT,
    Method::TRACE,
];
const WORDS: [&str; 9] = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"];
/// Clients may make up any method.
const OTHER: &str = "other";
const OTHERS: u32 = 9;

/// 10 bits of status, 4 of method, 5 of flag, and one that is never 0.
fn key(answer: &Answer) -> NonZeroU32 {
    let known = METHODS.iter().zip(0..).find(|(method, _)| **method == answer.method);
    let method: u32 = known.map_or(OTHERS, |(_, number)| number);
    let flag = answer.flag.map_or(0, |flag| flag as u32 + 1);
    let key = u32::from(answer.status & 0x3ff) | (method << 10) | (flag << 14);
    NonZeroU32::MIN | key << 1
}

fn alike(key: NonZeroU32, count: u64) -> Alike {
    let key = key.get() >> 1;
    let flag = (key >> 14 & 0x1f).checked_sub(1).and_then(|flag| Flag::ALL.get(flag as usize));
    Alike {
        method: WORDS.get((key >> 10 & 0xf) as usize).copied().unwrap_or(OTHER),
        status: u16::try_from(key & 0x3ff).unwrap_or(0),
        flag: flag.map_or("", |flag| flag.as_str()),
        count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_counted_is_read_as_it_was(
            status in 100_u16..1000, method in 0_usize..10, flag in 0_usize..=Flag::ALL.len()
        ) {
            let words: Vec<&str> = WORDS.into_iter().chain(["BREW"]).collect();
            let flag = flag.checked_sub(1).map(|flag| Flag::ALL[flag]);
            let method = words[method].parse().unwrap();
            let answer = Answer { method, status, flag, ..Answer::default() };
            let stats = RouteStats::default();
            stats.count(&answer);
            let method = if answer.method.as_str() == "BREW" { "other" } else { answer.method.as_str() };
            let flag = flag.map_or("", Flag::as_str);
            let read = stats.answers();
            prop_assert_eq!(read.len(), 1);
            prop_assert_eq!((read[0].method, read[0].status, read[0].flag, read[0].count), (method, status, flag, 1));
        }
    }

    #[test]
    fn every_flag_has_room_in_a_key() {
        assert!(Flag::ALL.len() < 31);
    }

    #[test]
    fn only_5xx_are_errors_of_a_service() {
        let stats = RouteStats::default();
        for status in [200, 404, 499, 500, 503] {
            stats.count(&Answer { status, ..Answer::default() });
        }
        let reading = stats.reading();
        assert_eq!((reading.requests, reading.errors), (5, 2));
    }
}
