//! When instances are ejected, for how long, and how many at most.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

struct Service {
    policy: OutlierPolicy,
    ejections: Ejections,
    instances: Vec<Outlier>,
    now: Instant,
}

impl Service {
    fn of(count: usize) -> Self {
        let now = Instant::now();
        let instances = (0..count).map(|_| Outlier::new(now)).collect();
        Self { policy: OutlierPolicy::default(), ejections: Ejections::default(), instances, now }
    }

    fn fails(&self, at: usize) -> Option<Duration> {
        self.ejections.failed(&self.instances[at], || self.instances.iter(), &self.policy, self.now)
    }

    /// As many failures as it takes.
    fn fails_for_good(&self, at: usize) -> Option<Duration> {
        (0..self.policy.consecutive_failures).filter_map(|_| self.fails(at)).last()
    }

    fn ejected(&self) -> usize {
        self.instances.iter().filter(|instance| instance.is_ejected(self.now)).count()
    }

    fn passes(&mut self, time: Duration) {
        self.now += time;
    }
}

#[test]
fn five_failures_in_a_row_eject_and_time_brings_back() {
    let mut service = Service::of(3);
    for _ in 0..4 {
        assert_eq!(service.fails(0), None);
    }
    assert_eq!(service.fails(0), Some(30 * SECOND));
    assert!(service.instances[0].is_ejected(service.now));
    service.passes(29 * SECOND);
    assert_eq!(service.ejected(), 1);
    service.passes(SECOND);
    assert_eq!(service.ejected(), 0);
}

#[test]
fn a_success_in_between_starts_the_count_anew() {
    let service = Service::of(3);
    for _ in 0..10 {
        assert!((0..4).all(|_| service.fails(0).is_none()));
        service.instances[0].succeeded();
    }
    assert_eq!(service.ejected(), 0);
}

#[test]
fn failures_during_an_ejection_neither_prolong_it_nor_count_after_it() {
    let mut service = Service::of(3);
    service.fails_for_good(0).unwrap();
    service.passes(29 * SECOND);
    assert_eq!(service.fails_for_good(0), None);
    service.passes(SECOND);
    assert!((0..4).all(|_| service.fails(0).is_none()));
}

#[test]
fn each_ejection_is_longer_up_to_a_bound() {
    let mut service = Service::of(2);
    let mut last = Vec::new();
    for _ in 0..12 {
        let pause = service.fails_for_good(0).unwrap();
        last.push(pause.as_secs());
        service.passes(pause);
    }
    assert_eq!(last, [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]);
}

#[test]
fn good_behaviour_is_rewarded_step_by_step() {
    let mut service = Service::of(2);
    for _ in 0..3 {
        let pause = service.fails_for_good(0).unwrap();
        service.passes(pause);
    }
    service.passes(60 * SECOND);
    assert_eq!(service.fails_for_good(0), Some(60 * SECOND), "two of three are forgiven");
    service.passes(3600 * SECOND);
    assert_eq!(service.fails_for_good(0), Some(30 * SECOND), "all are");
}

#[test]
fn a_passed_check_ends_an_ejection_and_is_no_pardon() {
    let mut service = Service::of(2);
    service.fails_for_good(0).unwrap();
    service.passes(SECOND);
    service.instances[0].check_passed(service.now);
    assert_eq!(service.ejected(), 0);
    assert_eq!(service.fails_for_good(0), Some(60 * SECOND));
}

#[test]
fn a_passed_check_of_an_instance_that_is_not_ejected_pardons_no_failures() {
    let service = Service::of(2);
    assert!((0..4).all(|_| service.fails(0).is_none()));
    service.instances[0].check_passed(service.now);
    assert!(service.fails(0).is_some());
}

#[test]
fn one_may_always_be_ejected_and_never_more_than_the_share() {
    for (count, most) in [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (200, 100)] {
        let service = Service::of(count);
        let ejected = (0..count).filter_map(|at| service.fails_for_good(at)).count();
        assert_eq!((ejected, service.ejected()), (most, most), "of {count}");
    }
}

#[test]
fn who_could_not_be_ejected_is_as_soon_as_there_is_room() {
    let mut service = Service::of(2);
    service.fails_for_good(0).unwrap();
    assert_eq!(service.fails_for_good(1), None);
    service.passes(30 * SECOND);
    assert_eq!(service.fails(1), Some(30 * SECOND));
}

#[test]
fn zero_failures_in_a_row_means_never() {
    let mut service = Service::of(2);
    service.policy.consecutive_failures = 0;
    assert!((0..1000).all(|_| service.fails(0).is_none()));
}

#[test]
fn instances_that_fail_together_on_several_threads_stay_within_the_share() {
    for _ in 0..50 {
        let service = Service::of(4);
        std::thread::scope(|scope| {
            for at in 0..4 {
                let service = &service;
                scope.spawn(move || service.fails_for_good(at));
            }
        });
        assert_eq!(service.ejected(), 2);
    }
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Fails(usize),
    Succeeds(usize),
    PassesCheck(usize),
    Passes(u16),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => any::<usize>().prop_map(Event::Fails),
        2 => any::<usize>().prop_map(Event::Succeeds),
        1 => any::<usize>().prop_map(Event::PassesCheck),
        2 => (0_u16..90).prop_map(Event::Passes),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_the_share_holds_and_everybody_comes_back(
        count in 1_usize..9, max_share in 0.0_f64..=1.0, events in prop::collection::vec(event(), 0..300),
    ) {
        let mut service = Service::of(count);
        service.policy.max_share = max_share;
        service.policy.consecutive_failures = 2;
        for event in events {
            match event {
                Event::Fails(at) => drop(service.fails(at % count)),
                Event::Succeeds(at) => service.instances[at % count].succeeded(),
                Event::PassesCheck(at) => service.instances[at % count].check_passed(service.now),
                Event::Passes(seconds) => service.passes(Duration::from_secs(seconds.into())),
            }
            let ejected = service.ejected();
            prop_assert!(ejected <= 1 || float(ejected) <= max_share * float(count));
        }
        service.passes(service.policy.max_ejection);
        prop_assert_eq!(service.ejected(), 0);
    }
}
