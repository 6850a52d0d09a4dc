//! What trips it, how long it stays open, and that one request at a time finds out.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

struct Service {
    policy: BreakerPolicy,
    breaker: Breaker,
    now: Instant,
}

impl Service {
    fn new() -> Self {
        let now = Instant::now();
        let policy = BreakerPolicy { consecutive_failures: 3, minimum: 10, ..BreakerPolicy::default() };
        Self { policy, breaker: Breaker::new(now), now }
    }

    /// One try that ends at once.
    fn tries(&self, outcome: Outcome) -> Result<Option<Change>, Refused> {
        let admission = self.breaker.admit(self.now)?;
        Ok(admission.ends(outcome, &self.policy, self.now))
    }

    fn trips(&self) -> Duration {
        let changes = (0..100).filter_map(|_| self.tries(Outcome::Failure).ok()?);
        match changes.last() {
            Some(Change::Opened { pause }) => pause,
            other => panic!("{other:?}"),
        }
    }

    fn passes(&mut self, time: Duration) {
        self.now += time;
    }
}

#[test]
fn failures_in_a_row_open_it_and_everybody_is_told_when_to_come_back() {
    let mut service = Service::new();
    assert_eq!(service.tries(Outcome::Failure), Ok(None));
    assert_eq!(service.tries(Outcome::Failure), Ok(None));
    assert_eq!(service.tries(Outcome::Failure), Ok(Some(Change::Opened { pause: SECOND })));
    service.passes(SECOND / 4);
    assert_eq!(service.breaker.admit(service.now).unwrap_err(), Refused { retry_after: 3 * SECOND / 4 });
}

#[test]
fn a_success_in_between_starts_the_row_anew() {
    let mut service = Service::new();
    service.policy.success_rate = 0.0;
    for _ in 0..20 {
        assert_eq!(service.tries(Outcome::Failure), Ok(None));
        assert_eq!(service.tries(Outcome::Failure), Ok(None));
        assert_eq!(service.tries(Outcome::Success), Ok(None));
    }
    assert_eq!(service.breaker.state(), State::Closed);
}

#[test]
fn too_few_successes_open_it_once_there_are_enough_answers() {
    let mut service = Service::new();
    service.policy.consecutive_failures = 0;
    for _ in 0..4 {
        assert_eq!(service.tries(Outcome::Success), Ok(None));
    }
    for _ in 0..5 {
        assert_eq!(service.tries(Outcome::Failure), Ok(None), "4 of 9, but 9 are too few");
    }
    assert_eq!(service.tries(Outcome::Failure), Ok(Some(Change::Opened { pause: SECOND })));
}

#[test]
fn failures_of_long_ago_are_forgotten() {
    let mut service = Service::new();
    service.policy.consecutive_failures = 0;
    for _ in 0..9 {
        assert_eq!(service.tries(Outcome::Failure), Ok(None));
    }
    service.passes(service.policy.window);
    assert_eq!(service.tries(Outcome::Failure), Ok(None));
}

#[test]
fn too_many_requests_count_in_the_rate_only() {
    let service = Service::new();
    for _ in 0..20 {
        assert_eq!(service.tries(Outcome::Success), Ok(None));
        assert_eq!(service.tries(Outcome::TooMany), Ok(None));
    }
    assert_eq!(service.breaker.state(), State::Closed, "half of them succeed");
    assert_eq!(service.tries(Outcome::TooMany), Ok(Some(Change::Opened { pause: SECOND })));
}

#[test]
fn after_the_pause_one_request_tries_and_its_success_closes() {
    let mut service = Service::new();
    service.trips();
    service.passes(SECOND);
    let probe = service.breaker.admit(service.now).unwrap();
    assert!(probe.is_probe());
    assert_eq!(service.breaker.state(), State::HalfOpen);
    assert!(service.breaker.admit(service.now).is_err());
    assert_eq!(probe.ends(Outcome::Success, &service.policy, service.now), Some(Change::Closed));
    assert_eq!(service.tries(Outcome::Failure), Ok(None), "what was before is forgotten");
}

#[test]
fn each_failed_probe_doubles_the_pause_up_to_a_bound_and_a_success_resets_it() {
    for outcome in [Outcome::Failure, Outcome::TooMany] {
        let mut service = Service::new();
        let mut pause = service.trips();
        let mut pauses = Vec::new();
        for _ in 0..7 {
            service.passes(pause);
            match service.tries(outcome) {
                Ok(Some(Change::Opened { pause: next })) => pause = next,
                other => panic!("{other:?}"),
            }
            pauses.push(pause.as_secs());
        }
        assert_eq!(pauses, [2, 4, 8, 16, 30, 30, 30]);
        service.passes(pause);
        assert_eq!(service.tries(Outcome::Success), Ok(Some(Change::Closed)));
        assert_eq!(service.trips(), SECOND);
    }
}

#[test]
fn a_probe_that_comes_to_nothing_leaves_it_to_the_next_request() {
    let mut service = Service::new();
    service.trips();
    service.passes(SECOND);
    drop(service.breaker.admit(service.now).unwrap());
    let next = service.breaker.admit(service.now).unwrap();
    assert!(next.is_probe());
    assert!(service.breaker.admit(service.now).is_err());
    assert_eq!(
        next.ends(Outcome::Failure, &service.policy, service.now),
        Some(Change::Opened { pause: 2 * SECOND })
    );
}

#[test]
fn what_was_let_in_before_a_trip_does_not_judge_what_comes_after_it() {
    let Service { policy, breaker, now } = Service::new();
    let mut early: Vec<_> = (0..50).map(|_| breaker.admit(now).unwrap()).collect();
    for first in early.drain(..3) {
        first.ends(Outcome::Failure, &policy, now);
    }
    let later = now + SECOND;
    let probe = breaker.admit(later).unwrap();
    assert_eq!(probe.ends(Outcome::Success, &policy, later), Some(Change::Closed));
    for late in early {
        assert_eq!(late.ends(Outcome::Failure, &policy, later), None);
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn of_many_threads_one_gets_to_try() {
    for _ in 0..50 {
        let mut service = Service::new();
        service.trips();
        service.passes(SECOND);
        let (service, probes) = (&service, &AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(move || {
                    if let Ok(admission) = service.breaker.admit(service.now) {
                        probes.fetch_add(1, Ordering::Relaxed);
                        admission.ends(Outcome::Failure, &service.policy, service.now);
                    }
                });
            }
        });
        assert_eq!(probes.load(Ordering::Relaxed), 1);
    }
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Asks,
    Ends(usize, Outcome),
    GoesAway(usize),
    Passes(u16),
}

fn event() -> impl Strategy<Value = Event> {
    let outcome = prop_oneof![Just(Outcome::Success), Just(Outcome::Failure), Just(Outcome::TooMany)];
    prop_oneof![
        4 => Just(Event::Asks),
        3 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Event::Ends(which, outcome)),
        1 => any::<usize>().prop_map(Event::GoesAway),
        1 => (0_u16..3000).prop_map(Event::Passes),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_one_request_probes_and_none_passes_while_it_is_open(
        events in prop::collection::vec(event(), 0..300),
    ) {
        let mut service = Service::new();
        let breaker = Breaker::new(service.now);
        let mut open: Vec<Admission<'_>> = Vec::new();
        for event in events {
            let before = breaker.state();
            match event {
                Event::Asks => match (before, breaker.admit(service.now)) {
                    (State::Closed, admitted) => open.push(admitted.unwrap()),
                    (State::HalfOpen, admitted) => prop_assert!(admitted.is_err()),
                    (State::Open { until }, Ok(admitted)) => {
                        prop_assert!(service.now >= until && admitted.is_probe());
                        open.push(admitted);
                    }
                    (State::Open { until }, Err(refused)) => {
                        prop_assert_eq!(until - service.now, refused.retry_after);
                    }
                },
                Event::Ends(which, outcome) if !open.is_empty() => {
                    open.swap_remove(which % open.len()).ends(outcome, &service.policy, service.now);
                }
                Event::GoesAway(which) if !open.is_empty() => drop(open.swap_remove(which % open.len())),
                Event::Passes(millis) => service.now += Duration::from_millis(millis.into()),
                _ => {}
            }
            let probes = open.iter().filter(|admission| admission.is_probe()).count();
            prop_assert_eq!(probes, usize::from(breaker.state() == State::HalfOpen));
        }
        drop(open);
        service.now += service.policy.max_pause;
        prop_assert!(breaker.admit(service.now).is_ok());
    }
}
