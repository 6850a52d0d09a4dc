//! The clients, the replicas and the clock; asks the parts in the order in which the proxy does.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use http::Method as HttpMethod;

use super::replica::{Condition, Replica};
use super::tally::{Second, Tally};
use crate::gateway::policy::balance::{Choice, Method, Tried, pick};
use crate::gateway::policy::breaker::{Admission, Breaker, Outcome};
use crate::gateway::policy::budget::{Load, Retry, backoff, most_retries};
use crate::gateway::policy::limiter::{Key, Limiter, Verdict};
use crate::gateway::policy::outlier::Ejections;
use crate::gateway::policy::rendezvous::hash;
use crate::gateway::policy::retry::{Asked, Decision, Failed, Failure, RequestBody, Written, decide};
use crate::model::traffic::{BreakerPolicy, OutlierPolicy, RateLimit, RequestKey, RetryPolicy};

mod checks;

#[derive(Debug, Clone)]
pub struct Scenario {
    pub replicas: usize,
    pub length: Duration,
    pub method: Method,
    pub changes: Vec<Change>,
}

#[derive(Debug, Clone, Copy)]
pub struct Change {
    pub at: Duration,
    pub replica: usize,
    pub condition: Condition,
}

struct Parts {
    breaker: Breaker,
    ejections: Ejections,
    load: Load,
    limiter: Limiter,
    replicas: Vec<Replica>,
}

struct Request<'p> {
    client: usize,
    method: HttpMethod,
    tried: Tried,
    tries: u32,
    retry: Option<Retry<'p>>,
}

struct Answer<'p> {
    request: Request<'p>,
    replica: usize,
    admission: Admission<'p>,
    failure: Option<Failure>,
}

enum Event<'p> {
    Arrival,
    Try(Request<'p>),
    Answer(Answer<'p>),
    Change(Change),
}

struct World<'p> {
    seed: u64,
    scenario: &'p Scenario,
    parts: &'p Parts,
    began: Instant,
    time: Duration,
    random: fastrand::Rng,
    /// By time, and by order where the time is the same.
    events: BTreeMap<(Duration, u64), Event<'p>>,
    scheduled: u64,
    probes: usize,
    admitted: [usize; CLIENTS],
    tally: Tally,
}

const CLIENTS: usize = 10;
/// The greedy one sends half of all requests.
const GREEDY: usize = 0;
const LIMIT: RateLimit =
    RateLimit { requests: 10, period: Duration::from_secs(1), burst: 20, key: RequestKey::Client };

pub fn run(seed: u64, scenario: &Scenario) -> Tally {
    let began = Instant::now();
    let parts = Parts {
        breaker: Breaker::new(began),
        ejections: Ejections::default(),
        load: Load::default(),
        limiter: Limiter::new(began),
        replicas: (0..scenario.replicas).map(|number| Replica::new(number, began)).collect(),
    };
    World::new(seed, scenario, &parts, began).runs()
}

impl<'p> World<'p> {
    fn new(seed: u64, scenario: &'p Scenario, parts: &'p Parts, began: Instant) -> Self {
        Self {
            seed,
            scenario,
            parts,
            began,
            time: Duration::ZERO,
            random: fastrand::Rng::with_seed(seed),
            events: BTreeMap::new(),
            scheduled: 0,
            probes: 0,
            admitted: [0; CLIENTS],
            tally: Tally::default(),
        }
    }

    fn runs(mut self) -> Tally {
        for &change in &self.scenario.changes {
            self.schedule(change.at, Event::Change(change));
        }
        self.schedule(Duration::ZERO, Event::Arrival);
        while let Some(((at, _), event)) = self.events.pop_first() {
            self.time = at;
            match event {
                Event::Arrival => self.arrives(),
                Event::Try(request) => self.tries(request),
                Event::Answer(answer) => self.answers(answer),
                Event::Change(change) => self.parts.replicas[change.replica].becomes(change.condition),
            }
            self.check();
        }
        self.check_end();
        self.tally
    }

    fn arrives(&mut self) {
        if self.time >= self.scenario.length {
            return;
        }
        let pause = Duration::from_micros(self.random.u64(0..20_000));
        self.schedule(self.time + pause, Event::Arrival);
        let client = if self.random.bool() { GREEDY } else { self.random.usize(1..CLIENTS) };
        let address = IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(client).unwrap()));
        let answer = self.parts.limiter.check(Key::Client(address), &LIMIT, self.now(), self.random.u64(..));
        if answer.verdict != Verdict::Admitted {
            self.second().limited += 1;
            return;
        }
        self.admitted[client] += 1;
        self.parts.load.enter(1024).expect("so many are never open here");
        let method = if self.random.u8(0..5) == 0 { HttpMethod::POST } else { HttpMethod::GET };
        self.tries(Request { client, method, tried: Tried::default(), tries: 0, retry: None });
    }

    fn tries(&mut self, mut request: Request<'p>) {
        let parts = self.parts;
        let Ok(admission) = parts.breaker.admit(self.now()) else {
            self.second().refused += 1;
            self.parts.load.leave();
            return;
        };
        self.probes += usize::from(admission.is_probe());
        let replica = self.picks(&request);
        request.tried.add(&parts.replicas[replica]);
        request.tries += 1;
        self.second().tries[replica] += 1;
        let (failure, takes) = parts.replicas[replica].begins(&mut self.random);
        self.schedule(self.time + takes, Event::Answer(Answer { request, replica, admission, failure }));
    }

    fn picks(&mut self, request: &Request<'_>) -> usize {
        let method = match self.scenario.method {
            Method::LeastRequest => Method::LeastRequest,
            Method::RoundRobin { .. } => Method::RoundRobin { turn: self.admitted.iter().sum() },
            Method::Consistent { .. } => Method::Consistent { key: hash(&request.client.to_le_bytes()) },
        };
        let OutlierPolicy { panic_below, .. } = OutlierPolicy::default();
        let slow_start = Duration::from_secs(10);
        let choice = Choice { method, slow_start, panic_below, tried: &request.tried, now: self.now() };
        let replicas = &self.parts.replicas;
        let picked = pick(replicas, &choice, &mut || self.random.u64(..)).expect("panic leaves somebody");
        replicas.iter().position(|replica| std::ptr::eq(replica, picked)).expect("it is one of them")
    }

    fn answers(&mut self, answer: Answer<'p>) {
        let Answer { request, replica, admission, failure } = answer;
        let (parts, now) = (self.parts, self.now());
        parts.replicas[replica].ends();
        self.probes -= usize::from(admission.is_probe());
        if self.random.u8(0..100) == 0 {
            // The client went away: that says nothing about the service.
            self.parts.load.leave();
            return;
        }
        let outcome = if failure.is_some() { Outcome::Failure } else { Outcome::Success };
        admission.ends(outcome, &BreakerPolicy::default(), now);
        let outlier = &parts.replicas[replica].outlier;
        if failure.is_none() {
            outlier.succeeded();
        } else {
            let all = || parts.replicas.iter().map(|replica| &replica.outlier);
            parts.ejections.failed(outlier, all, &OutlierPolicy::default(), now);
        }
        self.ends(request, failure);
    }

    fn ends(&mut self, mut request: Request<'p>, failure: Option<Failure>) {
        let Some(failure) = failure else {
            self.second().served += 1;
            self.parts.load.leave();
            return;
        };
        let policy = RetryPolicy { attempts: 2, ..RetryPolicy::default() };
        let (written, body, asked) = (Written::Something, RequestBody::Whole, Asked::Freely);
        let failed = Failed { method: &request.method, failure, written, body, tries: request.tries, asked };
        // The try that has just ended is no longer one that is on its way.
        request.retry = None;
        if decide(&failed, &policy) == Decision::Again {
            request.retry = self.parts.load.retry(&policy);
        }
        if request.retry.is_none() {
            self.second().failed += 1;
            self.parts.load.leave();
            return;
        }
        let load = &self.parts.load;
        self.insist(load.retries() <= most_retries(load.open(), &policy), "retries stay within the budget");
        self.second().retries += 1;
        let pause = backoff(request.tries, self.random.u64(..));
        self.schedule(self.time + pause, Event::Try(request));
    }

    fn schedule(&mut self, at: Duration, event: Event<'p>) {
        self.scheduled += 1;
        self.events.insert((at, self.scheduled), event);
    }

    fn second(&mut self) -> &mut Second {
        let empty = Second { tries: vec![0; self.parts.replicas.len()], ..Second::default() };
        let at = usize::try_from(self.time.as_secs()).expect("a simulation is short");
        if self.tally.seconds.len() <= at {
            self.tally.seconds.resize(at + 1, empty);
        }
        &mut self.tally.seconds[at]
    }

    fn now(&self) -> Instant {
        self.began + self.time
    }
}
