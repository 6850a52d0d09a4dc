//! All parts together, over minutes of virtual time: clients, one of them greedy, in front of replicas
//! that get slow, fail, refuse, hang and recover.
//!
//! Everything follows from a seed. What has to hold at every moment is checked by the `world`; what has
//! to come of it is asserted here. A failure names its seed: `MSCTL_SIMULATION_SEED=<seed>` runs that
//! alone.

use std::time::Duration;

use self::replica::Condition;
use self::tally::Tally;
use self::world::{Change, Scenario, run};
use super::balance::Method;

mod replica;
mod tally;
mod world;

const SEED: &str = "MSCTL_SIMULATION_SEED";

fn seeds(count: u64) -> Vec<u64> {
    match std::env::var(SEED) {
        Ok(seed) => vec![seed.parse().expect("a seed is a number")],
        Err(_) => (0..count).collect(),
    }
}

fn change(second: u64, replica: usize, condition: Condition) -> Change {
    Change { at: Duration::from_secs(second), replica, condition }
}

fn scenario(seconds: u64, changes: Vec<Change>) -> Scenario {
    Scenario { replicas: 4, length: Duration::from_secs(seconds), method: Method::LeastRequest, changes }
}

#[track_caller]
fn assert_for(seed: u64, holds: bool, what: &str, tally: &Tally) {
    assert!(holds, "{what}; replay with {SEED}={seed}\n{tally}");
}

#[test]
fn the_same_seed_is_the_same_story() {
    let story = || run(7, &scenario(30, vec![change(10, 1, Condition::Failing)]));
    assert_eq!(story(), story());
    assert_ne!(story(), run(8, &scenario(30, vec![change(10, 1, Condition::Failing)])));
}

#[test]
fn a_replica_that_fails_gets_next_to_nothing_and_its_share_again_once_it_recovers() {
    for seed in seeds(6) {
        let bad = [Condition::Failing, Condition::Refusing, Condition::Hung][(seed % 3) as usize];
        let tally = run(seed, &scenario(140, vec![change(20, 0, bad), change(70, 0, Condition::Fine)]));
        let before = tally.share_of(0, 10..20);
        assert_for(seed, (0.2..0.3).contains(&before), "each has a quarter while all are fine", &tally);
        assert_for(seed, tally.share_of(0, 23..70) < 0.03, "the failing one has less than 3 %", &tally);
        assert_for(seed, tally.served(0..140) > 0.99, "the others carry the traffic", &tally);
        assert_for(seed, tally.share_of(0, 120..140) > 0.15, "the recovered one has its share", &tally);
        assert_for(seed, tally.refused(0..140) == 0, "one replica is no reason to break", &tally);
    }
}

#[test]
fn a_slow_replica_gets_little_and_fails_nobody() {
    for seed in seeds(4) {
        let changes = vec![change(10, 2, Condition::Slow), change(40, 2, Condition::Fine)];
        let tally = run(seed, &scenario(60, changes));
        assert_for(seed, tally.share_of(2, 11..40) < 0.1, "the slow one has less than 10 %", &tally);
        assert_for(seed, tally.served(0..60) > 0.999, "slow is not failing", &tally);
        assert_for(seed, tally.share_of(2, 45..60) > 0.15, "and is used again", &tally);
    }
}

#[test]
fn a_service_that_fails_as_a_whole_is_left_alone_and_found_again() {
    for seed in seeds(6) {
        let bad = [Condition::Failing, Condition::Refusing, Condition::Hung][(seed % 3) as usize];
        let fails = (0..4).map(|replica| change(20, replica, bad));
        let recovers = (0..4).map(|replica| change(40, replica, Condition::Fine));
        let tally = run(seed, &scenario(100, fails.chain(recovers).collect()));
        assert_for(seed, tally.tries(24..40) <= 6, "only probes get through", &tally);
        assert_for(seed, tally.refused(24..40) > 500, "everybody else is told at once", &tally);
        assert_for(seed, tally.served(75..100) > 0.99, "a probe finds it again", &tally);
    }
}

#[test]
fn after_any_story_everybody_is_served_again() {
    for seed in seeds(12) {
        let mut random = fastrand::Rng::with_seed(seed);
        let replicas = random.usize(1..7);
        let methods = [Method::LeastRequest, Method::RoundRobin { turn: 0 }, Method::Consistent { key: 0 }];
        let conditions = Condition::ALL;
        let mut changes: Vec<_> = (0..30)
            .map(|_| change(random.u64(0..60), random.usize(0..replicas), conditions[random.usize(..5)]))
            .collect();
        changes.extend((0..replicas).map(|replica| change(60, replica, Condition::Fine)));
        let method = methods[random.usize(..3)];
        let tally = run(seed, &Scenario { replicas, method, ..scenario(150, changes) });
        assert_for(seed, tally.served(130..150) > 0.99, "all is well again", &tally);
    }
}
