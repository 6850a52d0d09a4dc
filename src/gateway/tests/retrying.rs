//! Another try on another instance: when there is one, and when there is none.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::sleep;

use super::backend::{Backend, ok};
use super::harness::World;
use super::log::Log;
use crate::model::catalog::EndpointState::Ready;
use crate::model::traffic::{RetryPolicy, RoutePolicy, Timeouts};

/// An address that nobody listens at.
fn nobody() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1))
}

/// Reads each request and closes the connection instead of answering.
async fn hanging_up() -> Backend {
    Backend::new(|mut wire, _| async move { drop(wire.read().await) }).await
}

async fn answering(head: &'static str) -> Backend {
    Backend::new(move |mut wire, _| async move {
        while wire.read().await.is_some() {
            wire.write(format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n")).await;
        }
    })
    .await
}

/// The statuses of many requests of this kind, each different one once.
async fn statuses(policy: &RoutePolicy, first: SocketAddr, request: &str) -> Vec<u16> {
    let good = Backend::new(|mut wire, _| async move {
        while let Some(request) = wire.read().await {
            wire.write(ok(&request.head)).await;
        }
    })
    .await;
    let mut seen = Vec::new();
    for _ in 0..12 {
        // A world of its own each time, where nobody has been ejected yet.
        let mut world = World::with_policy(policy).await;
        world.set("order", &[(1, first, Ready), (2, good.address, Ready)]);
        seen.push(world.send(request).await.status());
    }
    seen.sort_unstable();
    seen.dedup();
    seen
}

const GET: &str = "GET /orders HTTP/1.1\r\nHost: a\r\n\r\n";
const PUT: &str = "PUT /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
const POST: &str = "POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";

#[tokio::test]
async fn what_never_reached_an_instance_is_asked_of_another_whatever_the_method() {
    let policy = RoutePolicy::default();
    assert_eq!(statuses(&policy, nobody(), GET).await, [200]);
    assert_eq!(statuses(&policy, nobody(), POST).await, [200]);
}

#[tokio::test]
async fn what_may_have_been_acted_upon_is_repeated_only_if_that_is_safe() {
    let (policy, broken) = (RoutePolicy::default(), hanging_up().await);
    assert_eq!(statuses(&policy, broken.address, GET).await, [200]);
    assert_eq!(statuses(&policy, broken.address, PUT).await, [200]);
    assert_eq!(statuses(&policy, broken.address, POST).await, [200, 502]);
}

#[tokio::test]
async fn an_instance_that_ends_is_one_try_however_many_connections_show_it() {
    for _ in 0..12 {
        // Its first answer is its only one: later it accepts, reads and closes.
        let ending = Backend::new(|mut wire, number| async move {
            let request = wire.read().await;
            if let (Some(request), 0) = (request, number) {
                wire.write(ok(&request.head)).await;
                drop(wire.read().await);
            }
        })
        .await;
        let good = answering("204 No Content").await;
        let mut world = World::with_policy(&RoutePolicy::default()).await;
        world.set("order", &[(1, ending.address, Ready)]);
        assert_eq!(world.send(GET).await.status(), 200);
        world.set("order", &[(1, ending.address, Ready), (2, good.address, Ready)]);
        assert_eq!(world.send(GET).await.status(), 204);
    }
}

#[tokio::test]
async fn no_answer_in_time_is_tried_again_where_the_policy_says_so() {
    let silent = Backend::new(|mut wire, _| async move { while wire.read().await.is_some() {} }).await;
    let timeouts = Timeouts { response: Duration::from_millis(600), ..Timeouts::default() };
    let policy = RoutePolicy { timeouts, ..RoutePolicy::default() };
    assert_eq!(statuses(&policy, silent.address, GET).await, [200, 504]);
    let retries = RetryPolicy { on_status: true, ..RetryPolicy::default() };
    let eager = RoutePolicy { retries, ..policy };
    assert_eq!(statuses(&eager, silent.address, GET).await, [200]);
    assert_eq!(statuses(&eager, silent.address, PUT).await, [200]);
}

#[tokio::test]
async fn who_retries_himself_can_say_so() {
    let request = "GET /orders HTTP/1.1\r\nHost: a\r\nX-Msctl-No-Retry: 1\r\n\r\n";
    assert_eq!(statuses(&RoutePolicy::default(), nobody(), request).await, [200, 502]);
}

#[tokio::test]
async fn an_answer_is_final_unless_the_policy_or_the_instance_says_otherwise() {
    let (policy, busy) = (RoutePolicy::default(), answering("503 Service Unavailable").await);
    assert_eq!(statuses(&policy, busy.address, GET).await, [200, 503]);
    let retries = RetryPolicy { on_status: true, ..RetryPolicy::default() };
    let eager = RoutePolicy { retries, ..RoutePolicy::default() };
    assert_eq!(statuses(&eager, busy.address, GET).await, [200]);
    assert_eq!(statuses(&eager, busy.address, POST).await, [200, 503]);
    let inviting = answering("503 Service Unavailable\r\nRetry-After: 0").await;
    assert_eq!(statuses(&policy, inviting.address, GET).await, [200]);
}

#[tokio::test]
async fn no_more_is_tried_than_the_policy_allows() {
    let retries = RetryPolicy { attempts: 0, ..RetryPolicy::default() };
    let policy = RoutePolicy { retries, ..RoutePolicy::default() };
    assert_eq!(statuses(&policy, nobody(), GET).await, [200, 502]);
}

#[tokio::test]
async fn the_instance_is_told_which_try_it_is() {
    let good = Backend::echo().await;
    let mut world = World::new().await;
    world.set("order", &[(1, nobody(), Ready), (2, good.address, Ready)]);
    let mut heads = Vec::new();
    for _ in 0..12 {
        heads.push(world.send(GET).await.text());
    }
    let again = heads.iter().filter(|head| head.contains("x-msctl-attempt: 2")).count();
    assert!(again > 0 && again < heads.len(), "{again} of {} were second tries", heads.len());
}

#[tokio::test]
async fn only_the_try_that_nothing_made_good_is_a_warning() {
    let log = Log::default();
    let (good, said) = (Backend::named("good").await, log.clone());
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || said.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    for _ in 0..12 {
        let mut world = World::new().await;
        world.set("order", &[(1, nobody(), Ready), (2, good.address, Ready)]);
        assert_eq!(world.send(GET).await.status(), 200);
    }
    assert_eq!(log.text(), "");
    let mut world = World::new().await;
    world.set("order", &[(1, nobody(), Ready), (2, nobody(), Ready)]);
    assert_eq!(world.send(GET).await.status(), 502);
    assert_eq!(log.text().matches("request failed").count(), 1, "{}", log.text());
}

#[tokio::test]
async fn what_a_try_waited_for_is_not_time_to_connect() {
    const SILENCE: Duration = Duration::from_millis(60);
    let backend = Backend::new(|mut wire, number| async move {
        while wire.read().await.is_some() {
            if number == 0 {
                sleep(SILENCE).await;
                return;
            }
            wire.write(ok("good")).await;
        }
    })
    .await;
    let mut world = World::new().await;
    world.set("order", &[(1, backend.address, Ready), (2, backend.address, Ready)]);
    assert_eq!(world.send(GET).await.text(), "good");
    let line = world.log.about("/orders").await;
    let millis = |name: &str| line[name].as_f64().unwrap();
    assert_eq!(line["attempts"], 2);
    assert!(millis("connect_ms") + 60.0 <= millis("upstream_ms"), "{line}");
}
