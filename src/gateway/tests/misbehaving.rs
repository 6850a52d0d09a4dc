//! Instances that break off, talk nonsense or keep silent.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;

use super::backend::{Backend, ok};
use super::harness::{World, send};
use super::wire::Wire;
use crate::gateway::Limits;
use crate::model::catalog::EndpointState::Ready;
use crate::model::traffic::UpstreamProtocol::Http1;
use crate::model::traffic::{RetryPolicy, RoutePolicy, Timeouts};

fn policy(timeouts: Timeouts) -> RoutePolicy {
    RoutePolicy { timeouts, ..RoutePolicy::default() }
}

fn policy_with_total(total: Duration) -> RoutePolicy {
    policy(Timeouts { total, ..Timeouts::default() })
}

/// An instance that reads a request, says this, and closes.
async fn saying(answer: &'static str) -> Backend {
    Backend::new(move |mut wire, _| async move {
        wire.read().await;
        wire.write(answer).await;
    })
    .await
}

async fn check(answer: &'static str, expected: &str) {
    let backend = saying(answer).await;
    let retries = RetryPolicy { attempts: 0, ..RetryPolicy::default() };
    let mut world = World::with_policy(&RoutePolicy { retries, ..RoutePolicy::default() }).await;
    world.set("order", &[(1, backend.address, Ready)]);
    let answer = world.get("/orders", "").await;
    assert_eq!(format!("{} {}", answer.status(), answer.problem("code")), expected);
    assert_eq!(answer.problem("request_id"), answer.header("x-request-id").unwrap());
    assert_eq!(backend.connections(), 1, "a fresh connection is no reason to try again");
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_a_bad_gateway() {
    check("", "502 upstream_broken").await;
    check("garbage\r\n\r\n", "502 upstream_broken").await;
    check("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "502 upstream_broken").await;
    check("HTTP/1.1 200 OK\r\nContent-Le", "502 upstream_broken").await;
    check(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "502 upstream_broken",
    )
    .await;
}

#[tokio::test]
async fn an_instance_that_is_not_there_is_told_apart_and_may_be_tried_again() {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = socket.local_addr().unwrap();
    drop(socket);
    let answer = World::serving(nobody).await.get("/orders", "").await;
    assert_eq!((answer.status(), answer.problem("code").as_str()), (502, "upstream_unreachable"));
    assert_eq!(answer.problem("retryable"), "true");
}

#[tokio::test]
async fn an_instance_that_never_answers_times_out() {
    let silent = Backend::new(|mut wire, _| async move {
        wire.read().await;
        wire.read_to_end().await;
    })
    .await;
    let response = Duration::from_millis(100);
    let policy = policy(Timeouts { response, ..Timeouts::default() });
    let world = World::speaking_with(Http1, silent.address, &policy).await;
    let answer = world.get("/orders", "").await;
    assert_eq!((answer.status(), answer.problem("code").as_str()), (504, "upstream_timeout"));
    let policy = policy_with_total(response);
    let world = World::speaking_with(Http1, silent.address, &policy).await;
    let answer = world.get("/orders", "").await;
    assert_eq!((answer.status(), answer.problem("code").as_str()), (504, "total_timeout"));
}

#[tokio::test]
async fn what_comes_before_the_answer_is_bounded_in_number() {
    for (count, status) in [(16, 200), (17, 502), (10_000, 502)] {
        let chatty = Backend::new(move |mut wire, _| async move {
            wire.read().await;
            let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(count);
            // What the gateway does not read any more cannot be written.
            let _ = wire.stream.write_all((hints + &ok("done")).as_bytes()).await;
        })
        .await;
        let world = World::serving(chatty.address).await;
        let mut wire = Wire::connect(world.public).await;
        wire.write("GET /orders HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut answer = wire.read().await.unwrap();
        while answer.status() == 103 {
            answer = wire.read().await.unwrap();
        }
        assert_eq!(answer.status(), status, "{count}");
    }
}

#[tokio::test]
async fn a_client_that_stops_sending_is_not_the_instances_fault() {
    let backend = Backend::echo().await;
    let limits = Limits { upload_idle: Duration::from_millis(100), ..Limits::default() };
    let mut world = World::with_limits(limits).await;
    world.set("order", &[(1, backend.address, Ready)]);
    let answer = world.send("POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc").await;
    assert_eq!((answer.status(), answer.problem("code").as_str()), (408, "body_timeout"));
}

#[tokio::test]
async fn a_body_that_breaks_off_never_looks_complete() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
    ] {
        let backend = saying(answer).await;
        let world = World::serving(backend.address).await;
        let mut wire = Wire::connect(world.public).await;
        wire.write("GET /orders HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(wire.read_head().await.unwrap().status(), 200);
        let rest = String::from_utf8(wire.read_to_end().await).unwrap();
        assert!(rest.contains("abc") && rest.len() < 10 && !rest.contains("0\r\n\r\n"), "{rest:?}");
        assert_eq!(world.upstreams.in_flight(&super::harness::instance("order", 1)), 0);
    }
}

#[tokio::test]
async fn of_two_ends_of_a_response_the_chunks_count() {
    let backend = saying(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\nConnection: x-gone\r\nX-Gone: 1\r\nKeep-Alive: 5\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    )
    .await;
    let world = World::serving(backend.address).await;
    let answer = world.get("/orders", "").await;
    assert_eq!((answer.status(), answer.text().as_str()), (200, "abc"));
    for gone in ["content-length", "x-gone", "keep-alive"] {
        assert_eq!(answer.header(gone), None, "{gone}");
    }
}

/// Serves one request on each connection, and closes when it has read the next.
async fn forgetful() -> Backend {
    Backend::new(|mut wire, number| async move {
        wire.read().await;
        wire.write(ok(&format!("connection {number}"))).await;
        wire.read().await;
    })
    .await
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_costs_no_get() {
    let backend = forgetful().await;
    let world = World::serving(backend.address).await;
    for number in 0..5 {
        let answer = world.get("/orders", "").await;
        assert_eq!((answer.status(), answer.text()), (200, format!("connection {number}")));
    }
}

#[tokio::test]
async fn what_an_instance_may_have_acted_on_is_never_sent_twice() {
    let backend = forgetful().await;
    let world = World::serving(backend.address).await;
    assert_eq!(world.get("/orders", "").await.status(), 200);
    let answer = world.send("POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").await;
    assert_eq!((answer.status(), answer.problem("retryable").as_str()), (502, "false"));
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn connections_are_kept_and_used_again() {
    let backend = Backend::echo().await;
    let world = World::serving(backend.address).await;
    for request in [
        "GET /orders HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "POST /orders HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "HEAD /orders HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /orders HTTP/1.0\r\nHost: a\r\n\r\n",
    ] {
        let mut wire = Wire::connect(world.public).await;
        wire.write(request).await;
        let bodyless = request.starts_with("HEAD");
        let answer = if bodyless { wire.read_head().await } else { wire.read().await };
        assert_eq!(answer.unwrap().status(), 200, "{request:?}");
    }
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_was_kept_too_long_is_not_used_again() {
    let backend = Backend::echo().await;
    let mut world = World::with_limits(Limits { pool_idle: Duration::ZERO, ..Limits::default() }).await;
    world.set("order", &[(1, backend.address, Ready)]);
    for _ in 0..3 {
        assert_eq!(send(world.public, "GET /orders HTTP/1.1\r\nHost: a\r\n\r\n").await.status(), 200);
    }
    assert_eq!(backend.connections(), 3);
}

#[tokio::test]
async fn a_connection_that_nobody_asks_for_any_more_is_closed() {
    let closed = Arc::<Notify>::default();
    let tells = Arc::clone(&closed);
    let backend = Backend::new(move |mut wire, _| {
        let tells = Arc::clone(&tells);
        async move {
            while wire.read().await.is_some() {
                wire.write(ok("a")).await;
            }
            tells.notify_one();
        }
    })
    .await;
    let limits = Limits { pool_idle: Duration::from_millis(20), ..Limits::default() };
    let mut world = World::with_limits(limits).await;
    world.set("order", &[(1, backend.address, Ready)]);
    assert_eq!(world.get("/orders", "").await.text(), "a");
    closed.notified().await;
}

#[tokio::test]
async fn after_an_answer_with_two_ends_the_connection_is_not_used_again() {
    let backend = Backend::new(|mut wire, _| async move {
        while wire.read().await.is_some() {
            wire.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n").await;
        }
    })
    .await;
    let world = World::serving(backend.address).await;
    for number in 1..=2 {
        assert_eq!(world.get("/orders", "").await.text(), "a");
        assert_eq!(backend.connections(), number);
    }
}

/// Serves one request on each connection, and resets it on the next.
async fn resetting() -> Backend {
    Backend::new(|mut wire, number| async move {
        wire.read().await;
        wire.write(ok(&format!("connection {number}"))).await;
        wire.read_head().await;
        wire.stream.set_zero_linger().unwrap();
    })
    .await
}

#[tokio::test]
async fn a_kept_connection_that_is_reset_costs_no_get_and_repeats_no_post() {
    let backend = resetting().await;
    let world = World::serving(backend.address).await;
    for number in 0..3 {
        assert_eq!(world.get("/orders", "").await.text(), format!("connection {number}"));
    }
    let answer = world.send("POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").await;
    assert_eq!((answer.status(), answer.problem("retryable").as_str()), (502, "false"));
    assert_eq!(backend.connections(), 3);
}
