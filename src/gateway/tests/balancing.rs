//! Which instance gets a request, and when none does.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::backend::{Backend, ok};
use super::harness::World;
use crate::model::catalog::EndpointState::Ready;
use crate::model::traffic::{
    Balance, BreakerPolicy, Canary, OutlierPolicy, RateLimit, RequestKey, RoutePolicy, TrafficPolicy,
};

/// Answers every request with this status.
async fn failing(status: &'static str) -> Backend {
    Backend::new(move |mut wire, _| async move {
        while wire.read().await.is_some() {
            wire.write(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")).await;
        }
    })
    .await
}

/// How often each answer came.
async fn asked(world: &World, times: usize, lines: &str) -> BTreeMap<String, usize> {
    let mut answers = BTreeMap::new();
    for _ in 0..times {
        *answers.entry(world.get("/orders", lines).await.text()).or_default() += 1;
    }
    answers
}

fn replicas(backends: &[&Backend]) -> Vec<(u16, SocketAddr, crate::model::catalog::EndpointState)> {
    (1..).zip(backends).map(|(replica, backend)| (replica, backend.address, Ready)).collect()
}

#[tokio::test]
async fn in_turn_means_in_turn_whatever_happens_to_the_table() {
    let traffic = TrafficPolicy {
        balance: Balance::RoundRobin,
        slow_start: Duration::ZERO,
        ..TrafficPolicy::default()
    };
    let backends = [Backend::named("a").await, Backend::named("b").await, Backend::named("c").await];
    let mut world = World::with_traffic(&traffic).await;
    let mut served = String::new();
    for _ in 0..6 {
        world.set("order", &replicas(&[&backends[0], &backends[1], &backends[2]]));
        served += &world.get("/orders", "").await.text();
    }
    assert_eq!(served, "abcabc");
}

#[tokio::test]
async fn every_ready_instance_has_its_share() {
    let (a, b) = (Backend::named("a").await, Backend::named("b").await);
    let mut world = World::new().await;
    world.set("order", &replicas(&[&a, &b]));
    let answers = asked(&world, 60, "").await;
    assert!(answers["a"] > 5 && answers["b"] > 5, "{answers:?}");
}

#[tokio::test]
async fn the_same_key_goes_to_the_same_instance() {
    let key = RequestKey::Header("x-cart".to_owned());
    let traffic = TrafficPolicy { balance: Balance::Consistent(key), ..TrafficPolicy::default() };
    let backends = [Backend::named("a").await, Backend::named("b").await, Backend::named("c").await];
    let mut world = World::with_traffic(&traffic).await;
    world.set("order", &replicas(&[&backends[0], &backends[1], &backends[2]]));
    let mut seen = BTreeMap::new();
    for cart in 0..12 {
        let answers = asked(&world, 3, &format!("X-Cart: {cart}\r\n")).await;
        assert_eq!(answers.len(), 1, "cart {cart} went to several: {answers:?}");
        seen.extend(answers);
    }
    assert!(seen.len() > 1, "all carts went to {seen:?}");
}

#[tokio::test]
async fn an_instance_that_keeps_failing_is_left_out() {
    let outlier = OutlierPolicy { consecutive_failures: 3, ..OutlierPolicy::default() };
    let traffic = TrafficPolicy { outlier, slow_start: Duration::ZERO, ..TrafficPolicy::default() };
    let (good, bad) = (Backend::named("good").await, failing("503 Service Unavailable").await);
    let mut world = World::with_traffic(&traffic).await;
    world.set("order", &replicas(&[&good, &bad]));
    let answers = asked(&world, 80, "").await;
    assert_eq!(answers.get("").copied(), Some(3), "{answers:?}");
}

#[tokio::test]
async fn a_service_that_fails_as_a_whole_is_left_alone() {
    let breaker = BreakerPolicy { consecutive_failures: 3, ..BreakerPolicy::default() };
    let traffic = TrafficPolicy { breaker, ..TrafficPolicy::default() };
    let bad = failing("503 Service Unavailable").await;
    let mut world = World::with_traffic(&traffic).await;
    world.set("order", &replicas(&[&bad]));
    for _ in 0..3 {
        assert_eq!(world.get("/orders", "").await.text(), "");
    }
    let refused = world.get("/orders", "").await;
    assert_eq!((refused.status(), refused.problem("code").as_str()), (503, "circuit_open"));
    assert_eq!(refused.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn what_the_service_answers_for_good_is_no_failure() {
    let breaker = BreakerPolicy { consecutive_failures: 2, minimum: 2, ..BreakerPolicy::default() };
    let traffic = TrafficPolicy { breaker, ..TrafficPolicy::default() };
    let picky = failing("404 Not Found").await;
    let mut world = World::with_traffic(&traffic).await;
    world.set("order", &replicas(&[&picky]));
    for _ in 0..6 {
        assert_eq!(world.get("/orders", "").await.status(), 404);
    }
}

#[tokio::test]
async fn a_header_or_a_cookie_asks_for_the_newest_generation() {
    let canary = Canary {
        weight: 0,
        header: Some(("x-try".to_owned(), "new".to_owned())),
        cookie: Some(("try".to_owned(), "new".to_owned())),
    };
    let traffic = TrafficPolicy { canary: Some(canary), ..TrafficPolicy::default() };
    let (old, new) = (Backend::named("old").await, Backend::named("new").await);
    let mut world = World::with_traffic(&traffic).await;
    world.generations(&[(1, old.address), (2, new.address)]);
    assert_eq!(asked(&world, 5, "").await, BTreeMap::from([("old".to_owned(), 5)]));
    assert_eq!(asked(&world, 5, "X-Try: new\r\n").await, BTreeMap::from([("new".to_owned(), 5)]));
    assert_eq!(asked(&world, 5, "Cookie: a=b; try=new\r\n").await, BTreeMap::from([("new".to_owned(), 5)]));
    world.generations(&[(2, new.address)]);
    assert_eq!(asked(&world, 2, "").await, BTreeMap::from([("new".to_owned(), 2)]));
}

#[tokio::test]
async fn a_client_that_is_too_fast_is_told_when_to_come_back() {
    let limit = RateLimit { requests: 2, period: Duration::from_secs(60), burst: 2, key: RequestKey::Client };
    let policy = RoutePolicy { rate_limit: Some(limit), ..RoutePolicy::default() };
    let backend = Backend::new(|mut wire, _| async move {
        while wire.read().await.is_some() {
            wire.write(ok("served")).await;
        }
    })
    .await;
    let mut world = World::with_policy(&policy).await;
    world.set("order", &replicas(&[&backend]));
    let first = world.get("/orders", "").await;
    assert_eq!((first.text().as_str(), first.header("ratelimit-remaining")), ("served", Some("1")));
    assert_eq!(world.get("/orders", "").await.status(), 200);
    // A table made anew forgets nothing.
    world.set("order", &replicas(&[&backend]));
    let refused = world.get("/orders", "").await;
    assert_eq!((refused.status(), refused.problem("code").as_str()), (429, "rate_limited"));
    assert_eq!(refused.header("ratelimit-remaining"), Some("0"));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
}

#[tokio::test]
async fn whoever_is_too_fast_is_not_asked_for_a_token_first() {
    for (key, expected) in [
        (RequestKey::Client, [401, 401, 429]),
        (RequestKey::Header("x-key".to_owned()), [401, 401, 429]),
        (RequestKey::Everyone, [401, 401, 429]),
        // Who it is has to be known first.
        (RequestKey::Subject, [401, 401, 401]),
    ] {
        let limit = RateLimit { requests: 2, period: Duration::from_secs(60), burst: 2, key };
        let world =
            World::with_policy(&RoutePolicy { rate_limit: Some(limit), ..RoutePolicy::default() }).await;
        let mut statuses = Vec::new();
        for _ in expected {
            statuses.push(world.get("/private", "Authorization: Bearer bad\r\nX-Key: k\r\n").await.status());
        }
        assert_eq!(statuses, expected, "{:?}", world.log.lines());
    }
}

#[tokio::test]
async fn a_user_is_counted_by_name_whatever_the_address() {
    let limit =
        RateLimit { requests: 1, period: Duration::from_secs(60), burst: 1, key: RequestKey::Subject };
    let world = World::with_policy(&RoutePolicy { rate_limit: Some(limit), ..RoutePolicy::default() }).await;
    let as_user =
        async |user: &str| world.get("/private", &format!("Authorization: Bearer {user}\r\n")).await.status();
    // Nobody serves it; what counts is whether it got that far.
    assert_eq!([as_user("ann").await, as_user("bob").await, as_user("ann").await], [503, 503, 429]);
}
