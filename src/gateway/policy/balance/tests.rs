//! Shares by weight, fairness in turns, little movement of keys, panic, and second tries.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::gateway::policy::rendezvous::hash;

#[derive(Debug, Clone)]
pub struct Instance {
    pub identity: u64,
    pub in_flight: usize,
    pub ready_since: Instant,
    pub healthy: bool,
    pub weight: f64,
}

impl Instance {
    pub fn new(number: u64, ready_since: Instant) -> Self {
        let identity = hash(&number.to_le_bytes());
        Self { identity, in_flight: 0, ready_since, healthy: true, weight: 1.0 }
    }

    pub fn ill(number: u64, ready_since: Instant) -> Self {
        Self { healthy: false, ..Self::new(number, ready_since) }
    }
}

impl Candidate for Instance {
    fn identity(&self) -> u64 {
        self.identity
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn ready_since(&self) -> Instant {
        self.ready_since
    }

    fn is_healthy(&self, _now: Instant) -> bool {
        self.healthy
    }

    fn weight(&self) -> f64 {
        self.weight
    }
}

const SLOW_START: Duration = Duration::from_secs(10);

/// An hour after everybody became ready.
fn choice(method: Method, ready: Instant) -> Choice<'static> {
    let now = ready + Duration::from_secs(3600);
    Choice { method, slow_start: SLOW_START, panic_below: 0.5, tried: &Tried::NOBODY, now }
}

fn some(count: u64) -> (Vec<Instance>, Instant) {
    let ready = Instant::now();
    ((0..count).map(|number| Instance::new(number, ready)).collect(), ready)
}

/// How often each instance is picked; `turn` and `key` count up.
fn counts(instances: &[Instance], choice: &Choice<'_>, picks: usize, seed: u64) -> Vec<usize> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut counts: HashMap<u64, usize> = HashMap::new();
    for n in 0..picks {
        let method = match choice.method {
            Method::LeastRequest => Method::LeastRequest,
            Method::RoundRobin { turn } => Method::RoundRobin { turn: turn.wrapping_add(n) },
            Method::Consistent { .. } => Method::Consistent { key: hash(&n.to_le_bytes()) },
        };
        let choice = Choice { method, ..*choice };
        let picked = pick(instances, &choice, &mut || random.u64(..)).unwrap();
        *counts.entry(picked.identity).or_default() += 1;
    }
    instances.iter().map(|instance| counts.get(&instance.identity).copied().unwrap_or(0)).collect()
}

const METHODS: [Method; 3] =
    [Method::LeastRequest, Method::RoundRobin { turn: 0 }, Method::Consistent { key: 0 }];

#[test]
fn of_nobody_nobody_is_picked() {
    for method in METHODS {
        let choice = choice(method, Instant::now());
        assert!(pick::<Instance>(&[], &choice, &mut || 7).is_none());
    }
}

#[test]
fn the_less_busy_of_two_is_picked_and_equals_share() {
    let (mut two, ready) = some(2);
    let choice = choice(Method::LeastRequest, ready);
    let equal = counts(&two, &choice, 2000, 1);
    assert!(equal.iter().all(|&count| count > 900), "{equal:?}");
    two[0].in_flight = 1;
    assert_eq!(counts(&two, &choice, 100, 1), [0, 100]);
}

#[test]
fn the_busiest_of_many_is_never_picked_before_its_work_is_done() {
    let (mut many, ready) = some(200);
    many[17].in_flight = 5;
    let picked = counts(&many, &choice(Method::LeastRequest, ready), 20_000, 3);
    assert_eq!(picked[17], 0);
    assert!(picked.iter().enumerate().all(|(at, &count)| at == 17 || (40..200).contains(&count)));
}

#[test]
fn load_is_measured_against_the_share() {
    let (mut two, ready) = some(2);
    two[0].weight = 0.25;
    two[1].in_flight = 2;
    // (0 + 1) / 0.25 is more than (2 + 1) / 1.
    assert_eq!(counts(&two, &choice(Method::LeastRequest, ready), 100, 1), [0, 100]);
}

#[test]
fn a_new_instance_starts_with_a_tenth_of_its_share_and_ends_with_all_of_it() {
    for (seconds, expected) in [(0, 0.1), (5, 0.55), (10, 1.0), (3600, 1.0)] {
        let warmth = warmth(Duration::from_secs(seconds), SLOW_START);
        assert!((warmth - expected).abs() < 1e-9, "{seconds}s: {warmth}");
    }
    assert!((warmth(Duration::ZERO, Duration::ZERO) - 1.0).abs() < f64::EPSILON);
}

#[test]
fn a_new_instance_gets_less_of_the_turns_and_of_the_draws() {
    let (mut three, ready) = some(3);
    let choice_of = |method| choice(method, ready);
    three[0].ready_since = choice_of(Method::LeastRequest).now;
    for method in [Method::LeastRequest, Method::RoundRobin { turn: 0 }] {
        let picked = counts(&three, &choice_of(method), 3000, 5);
        assert!(picked[0] < 200, "{method:?}: {picked:?}");
    }
}

#[test]
fn those_who_start_together_take_turns_at_once() {
    let (three, ready) = some(3);
    let choice = Choice { now: ready, ..choice(Method::RoundRobin { turn: 0 }, ready) };
    assert_eq!(counts(&three, &choice, 300, 2), [100, 100, 100]);
}

#[test]
fn the_turn_goes_round_even_when_its_counter_wraps() {
    let (three, ready) = some(3);
    let choice = choice(Method::RoundRobin { turn: usize::MAX }, ready);
    assert!(pick(&three, &choice, &mut || 0).is_some());
}

#[test]
fn the_turns_of_an_unhealthy_instance_are_spread_over_the_others() {
    let (mut four, ready) = some(4);
    four[1].healthy = false;
    let picked = counts(&four, &choice(Method::RoundRobin { turn: 0 }, ready), 4000, 11);
    assert_eq!(picked[1], 0);
    assert!(picked.iter().enumerate().all(|(at, &n)| at == 1 || (1200..1500).contains(&n)), "{picked:?}");
}

#[test]
fn with_too_few_healthy_ones_all_are_used_alike() {
    for method in METHODS {
        let (mut four, ready) = some(4);
        four[0].healthy = false;
        four[1].healthy = false;
        let picked = counts(&four, &choice(method, ready), 4000, 13);
        assert_eq!(picked[..2], [0, 0], "{method:?}: half of them is not too few");
        four[2].healthy = false;
        let picked = counts(&four, &choice(method, ready), 4000, 13);
        assert!(picked.iter().all(|&count| count > 850), "{method:?}: {picked:?}");
    }
}

#[test]
fn without_panic_nobody_is_picked_rather_than_somebody_unhealthy() {
    let ready = Instant::now();
    let ill = [Instance::ill(1, ready), Instance::ill(2, ready)];
    for method in METHODS {
        let choice = Choice { panic_below: 0.0, ..choice(method, ready) };
        assert!(pick(&ill, &choice, &mut || 7).is_none());
    }
}

#[test]
fn another_try_goes_to_another_instance_while_there_is_one() {
    let (two, ready) = some(2);
    let mut tried = Tried::default();
    tried.add(&two[0]);
    for method in METHODS {
        let choice = Choice { tried: &tried, ..choice(method, ready) };
        assert_eq!(counts(&two, &choice, 100, 17), [0, 100], "{method:?}");
        let again = pick(&two[..1], &choice, &mut || 7).unwrap();
        assert_eq!(again.identity, two[0].identity);
    }
}

#[test]
fn a_key_stays_where_it_is_as_long_as_that_is_healthy() {
    let (mut five, ready) = some(5);
    let choice = choice(Method::Consistent { key: hash(b"carol") }, ready);
    let home = pick(&five, &choice, &mut || 0).unwrap().identity;
    let at = five.iter().position(|instance| instance.identity == home).unwrap();
    five[at].healthy = false;
    let refuge = pick(&five, &choice, &mut || 0).unwrap().identity;
    assert_ne!(refuge, home);
    five[at].healthy = true;
    assert_eq!(pick(&five, &choice, &mut || 0).unwrap().identity, home);
}

fn homes(instances: &[Instance], ready: Instant) -> Vec<u64> {
    let home = |key: u32| {
        let choice = choice(Method::Consistent { key: hash(&key.to_le_bytes()) }, ready);
        pick(instances, &choice, &mut || 0).unwrap().identity
    };
    (0..400).map(home).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn in_turn_every_instance_gets_exactly_its_share(count in 1_u64..8, turn: usize, rounds in 1_usize..5) {
        let (instances, ready) = some(count);
        let picks = rounds * instances.len();
        prop_assume!(turn.checked_add(picks).is_some());
        let picked = counts(&instances, &choice(Method::RoundRobin { turn }, ready), picks, 0);
        prop_assert!(picked.iter().all(|&n| n == rounds), "{picked:?}");
    }

    /// Drawn by weight; that the less busy of two is taken then evens the shares out only under load.
    #[test]
    fn an_instance_is_drawn_as_often_as_its_weight_is_large(
        weights in prop::collection::vec(0.1_f64..1.0, 2..6), seed: u64,
    ) {
        let (mut instances, ready) = some(weights.len() as u64);
        for (instance, &weight) in instances.iter_mut().zip(&weights) {
            instance.weight = weight;
        }
        let mut random = fastrand::Rng::with_seed(seed);
        let mut random = || random.u64(..);
        let choice = choice(Method::LeastRequest, ready);
        let candidates = instances.as_slice();
        let mut picking = Picking { candidates, choice: &choice, tried: &Tried::NOBODY, panic: None, random: &mut random };
        let mut drawn = vec![0_u32; weights.len()];
        for _ in 0..4000 {
            drawn[picking.draw(None).unwrap()] += 1;
        }
        let sum: f64 = weights.iter().sum();
        for (&count, weight) in drawn.iter().zip(&weights) {
            let (expected, got) = (weight / sum, f64::from(count) / 4000.0);
            // Five standard deviations of the mean, so that it never fails by chance.
            let allowed = 5.0 * (expected * (1.0 - expected) / 4000.0).sqrt();
            prop_assert!((expected - got).abs() < allowed, "{drawn:?} for {weights:?}");
        }
    }

    #[test]
    fn who_leaves_moves_only_its_own_keys_and_who_comes_takes_only_some(count in 2_u64..12, gone in 0_usize..12) {
        let (all, ready) = some(count);
        let mut fewer = all.clone();
        let gone = fewer.remove(gone % all.len());
        for (before, after) in homes(&all, ready).into_iter().zip(homes(&fewer, ready)) {
            prop_assert!(before == after || before == gone.identity);
        }
    }

    #[test]
    fn healthy_ones_are_picked_while_there_are_enough_of_them(
        healthy in prop::collection::vec(any::<bool>(), 1..12), tried in 0_usize..12, seed: u64,
    ) {
        let (mut instances, ready) = some(healthy.len() as u64);
        for (instance, &healthy) in instances.iter_mut().zip(&healthy) {
            instance.healthy = healthy;
        }
        let mut already = Tried::default();
        already.add(&instances[tried % instances.len()]);
        let count = healthy.iter().filter(|&&healthy| healthy).count();
        let mut random = fastrand::Rng::with_seed(seed);
        for method in METHODS {
            let choice = Choice { tried: &already, ..choice(method, ready) };
            let picked = pick(&instances, &choice, &mut || random.u64(..)).unwrap();
            prop_assert!(picked.healthy || 2 * count < healthy.len(), "{method:?}");
        }
    }
}
