//! How many are admitted, what clients are told, and what happens to a full table.

use proptest::prelude::*;

use super::*;
use crate::model::traffic::RequestKey;

fn limit(requests: u32, period: Duration, burst: u32) -> RateLimit {
    RateLimit { requests, period, burst, key: RequestKey::Client }
}

const SECOND: Duration = Duration::from_secs(1);

fn address(text: &str) -> Key<'static> {
    Key::Client(text.parse().unwrap())
}

/// An address of the other clients.
fn stranger(number: u32) -> Key<'static> {
    Key::Client(IpAddr::V4((0x0a00_0000 + number).into()))
}

#[test]
fn a_burst_is_admitted_at_once_and_then_one_by_one() {
    let now = Instant::now();
    let (limiter, limit) = (Limiter::new(now), limit(60, 60 * SECOND, 3));
    let check = |at| {
        let answer = limiter.check(Key::Everyone, &limit, now + at, 0);
        (answer.verdict, answer.remaining, answer.reset.as_secs())
    };
    assert_eq!(check(Duration::ZERO), (Verdict::Admitted, 2, 1));
    assert_eq!(check(Duration::ZERO), (Verdict::Admitted, 1, 2));
    assert_eq!(check(Duration::ZERO), (Verdict::Admitted, 0, 3));
    assert_eq!(check(Duration::ZERO), (Verdict::Refused { retry_after: SECOND }, 0, 3));
    assert_eq!(check(SECOND), (Verdict::Admitted, 0, 3));
    assert_eq!(check(100 * SECOND), (Verdict::Admitted, 2, 1));
}

#[test]
fn whole_seconds_are_never_too_few() {
    for (millis, seconds) in [(0, 0), (1, 1), (999, 1), (1000, 1), (1001, 2)] {
        assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds);
    }
}

#[test]
fn zeros_mean_one() {
    let now = Instant::now();
    for limit in [limit(0, SECOND, 0), limit(1, Duration::ZERO, 1)] {
        let limiter = Limiter::new(now);
        assert_eq!(limiter.check(Key::Everyone, &limit, now, 0).verdict, Verdict::Admitted);
        assert_ne!(limiter.check(Key::Everyone, &limit, now, 0).verdict, Verdict::Admitted);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bucket {
    Shared,
    Own,
}

#[track_caller]
fn check_bucket(first: Key<'_>, second: Key<'_>, expected: Bucket) {
    let now = Instant::now();
    let (limiter, limit) = (Limiter::new(now), limit(1, SECOND, 1));
    assert_eq!(limiter.check(first, &limit, now, 0).verdict, Verdict::Admitted);
    let bucket = match limiter.check(second, &limit, now, 0).verdict {
        Verdict::Admitted => Bucket::Own,
        Verdict::Refused { .. } => Bucket::Shared,
    };
    assert_eq!(bucket, expected, "{first:?}, {second:?}");
}

#[test]
fn each_key_has_its_own_bucket_and_ipv6_one_for_each_64() {
    check_bucket(address("192.0.2.1"), address("192.0.2.1"), Bucket::Shared);
    check_bucket(address("192.0.2.1"), address("192.0.2.2"), Bucket::Own);
    check_bucket(address("192.0.2.1"), address("::ffff:192.0.2.1"), Bucket::Shared);
    check_bucket(address("2001:db8:1:2:3::4"), address("2001:db8:1:2:ffff::"), Bucket::Shared);
    check_bucket(address("2001:db8:1:2::"), address("2001:db8:1:3::"), Bucket::Own);
    check_bucket(Key::Subject("carol"), Key::Subject("carol"), Bucket::Shared);
    check_bucket(Key::Subject("carol"), Key::Header("carol"), Bucket::Own);
    check_bucket(Key::Everyone, Key::Everyone, Bucket::Shared);
}

#[test]
fn keys_that_share_a_bucket_share_an_instance() {
    assert_eq!(address("192.0.2.1").rank(), address("::ffff:192.0.2.1").rank());
    assert_ne!(address("192.0.2.1").rank(), address("192.0.2.2").rank());
    assert_ne!(address("::ffff:192.0.2.1").rank(), address("::ffff:192.0.2.2").rank());
    assert_eq!(address("2001:db8::1").rank(), address("2001:db8::2").rank());
    assert_ne!(Key::Subject("carol").rank(), Key::Subject("dave").rank());
}

#[test]
fn the_table_is_bounded() {
    let now = Instant::now();
    let (limiter, limit) = (Limiter::new(now), limit(1, 3600 * SECOND, 1));
    assert_eq!(limiter.len(), 0);
    for number in 0..14_000 {
        limiter.check(stranger(number), &limit, now, u64::from(number));
    }
    assert!(limiter.len() <= MOST_KEYS);
    assert!(limiter.len() > MOST_KEYS * 9 / 10);
}

#[test]
fn keys_that_are_full_again_are_forgotten_before_others() {
    let now = Instant::now();
    let limiter = Limiter::new(now);
    let (slow, fast) = (limit(1, 3600 * SECOND, 1), limit(1, SECOND, 1));
    assert_eq!(limiter.check(Key::Everyone, &slow, now, 0).verdict, Verdict::Admitted);
    // A thousand of them owe something at any time: far too few to fill a shard with.
    for number in 0..40_000 {
        let at = now + Duration::from_millis(u64::from(number));
        limiter.check(stranger(number), &fast, at, u64::from(number));
    }
    let last = limiter.check(Key::Everyone, &slow, now + 40 * SECOND, 0);
    assert_ne!(last.verdict, Verdict::Admitted);
}

#[test]
fn threads_do_not_exceed_the_burst_together() {
    let now = Instant::now();
    let (limiter, limit) = (Limiter::new(now), limit(1, SECOND, 100));
    let admitted = || {
        (0..80).filter(|_| limiter.check(Key::Everyone, &limit, now, 0).verdict == Verdict::Admitted).count()
    };
    let total: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(admitted)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(total, 100);
}

proptest! {
    #[test]
    fn no_stretch_of_time_has_more_than_the_burst_and_the_rate(
        requests in 1_u32..50, period in 1_u64..5000, burst in 1_u32..20,
        pauses in prop::collection::vec(0_u64..400, 1..150),
    ) {
        let limit = limit(requests, Duration::from_millis(period), burst);
        let (now, mut at) = (Instant::now(), Duration::ZERO);
        let limiter = Limiter::new(now);
        let mut admitted = Vec::new();
        for pause in pauses {
            at += Duration::from_millis(pause);
            if limiter.check(Key::Everyone, &limit, now + at, 0).verdict == Verdict::Admitted {
                admitted.push(at);
            }
        }
        for (first, from) in admitted.iter().enumerate() {
            for (last, to) in admitted.iter().enumerate().skip(first) {
                let count = u128::try_from(last - first + 1).unwrap();
                let refilled = to.saturating_sub(*from).as_nanos() * u128::from(requests) / limit.period.as_nanos();
                prop_assert!(count <= u128::from(burst) + refilled, "{count} from {from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn who_waits_as_told_is_admitted_and_who_does_not_is_not(
        requests in 1_u32..50, period in 1_u64..5000, burst in 1_u32..20, early in 1_u64..1000,
    ) {
        let limit = limit(requests, Duration::from_millis(period), burst);
        let now = Instant::now();
        let limiter = Limiter::new(now);
        let check = |at| limiter.check(Key::Everyone, &limit, at, 0);
        let answers: Vec<_> = (0..=burst).map(|_| check(now)).collect();
        prop_assert_eq!(answers[burst as usize - 1].verdict, Verdict::Admitted);
        let refused = answers[burst as usize];
        let Verdict::Refused { retry_after } = refused.verdict else { panic!("{refused:?}") };
        prop_assert!(!retry_after.is_zero());
        let too_early = retry_after.saturating_sub(Duration::from_nanos(early));
        prop_assert_ne!(check(now + too_early).verdict, Verdict::Admitted);
        prop_assert_eq!(check(now + retry_after).verdict, Verdict::Admitted);
    }

    #[test]
    fn who_keeps_to_the_rate_is_never_refused(requests in 1_u32..50, period in 1_u64..5000, count in 1_u32..200) {
        let limit = limit(requests, Duration::from_millis(period), 1);
        let step = Duration::from_nanos((period * 1_000_000).div_ceil(u64::from(requests)));
        let now = Instant::now();
        let limiter = Limiter::new(now);
        for n in 0..count {
            let answer = limiter.check(Key::Everyone, &limit, now + step * n, 0);
            prop_assert_eq!(answer.verdict, Verdict::Admitted);
        }
    }
}
