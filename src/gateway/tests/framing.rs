//! Messages that are malformed, ambiguous, too large or too slow.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::backend::Backend;
use super::harness::World;
use super::wire::Wire;
use crate::gateway::Limits;
use crate::model::traffic::RoutePolicy;

/// Sends a request head and expects this status, an end of the connection, and no instance reached.
async fn check_refused(request: &str, status: u16) {
    let backend = Backend::echo().await;
    let world = World::serving(backend.address).await;
    let mut wire = Wire::connect(world.public).await;
    wire.write(request).await;
    let answer = wire.read().await.unwrap();
    assert_eq!(answer.status(), status, "{request:?} {}", answer.head);
    assert!(answer.header("connection") == Some("close") || answer.header("content-type").is_some());
    assert_eq!(backend.connections(), 0, "{request:?}");
}

#[tokio::test]
async fn a_message_whose_end_is_in_doubt_is_refused() {
    for lines in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: +3\r\n",
        "Content-Length: 3, 3\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
    ] {
        check_refused(&format!("POST /orders HTTP/1.1\r\nHost: a\r\n{lines}\r\n0\r\n\r\n"), 400).await;
    }
    check_refused("POST /orders HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400)
        .await;
}

#[tokio::test]
async fn what_follows_a_refused_message_is_not_taken_for_another() {
    let backend = Backend::echo().await;
    let world = World::serving(backend.address).await;
    let mut wire = Wire::connect(world.public).await;
    let hidden = "GET /orders/hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    let head = "POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n";
    wire.write(format!("{head}0\r\n\r\n{hidden}")).await;
    let answer = wire.read().await.unwrap();
    assert_eq!((answer.status(), answer.problem("code").as_str()), (400, "framing_ambiguous"));
    assert_eq!(wire.read_to_end().await, b"");
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn malformed_heads_are_refused() {
    for lines in [
        "Host : a\r\n",
        "Host: a\r\n folded\r\n",
        "Host: a\r\nX: a\0b\r\n",
        "Host: a\r\nX: a\rb\r\n",
        "Host: a\r\nno colon\r\n",
    ] {
        check_refused(&format!("GET /orders HTTP/1.1\r\n{lines}\r\n"), 400).await;
    }
    check_refused("GET orders HTTP/1.1\r\nHost: a\r\n\r\n", 400).await;
    check_refused("GET /orders HTTP/9.9\r\nHost: a\r\n\r\n", 400).await;
}

#[tokio::test]
async fn there_is_exactly_one_host() {
    for lines in [
        "",
        "Host: a\r\nHost: b\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: user@a\r\n",
        "Host: a b\r\n",
        "Host:\r\n",
    ] {
        check_refused(&format!("GET /orders HTTP/1.1\r\n{lines}\r\n"), 400).await;
    }
}

#[tokio::test]
async fn the_gateway_is_no_open_proxy_and_reflects_nothing() {
    check_refused("CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: 169.254.169.254:80\r\n\r\n", 501).await;
    check_refused("TRACE /orders HTTP/1.1\r\nHost: a\r\nCookie: secret\r\n\r\n", 405).await;
    check_refused("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400).await;
    check_refused("GET http://a@169.254.169.254/orders HTTP/1.1\r\nHost: a\r\n\r\n", 400).await;
}

#[tokio::test]
async fn oversized_heads_are_refused_with_the_status_that_says_so() {
    let long = |count: usize| "x".repeat(count);
    check_refused(&format!("GET /orders?{} HTTP/1.1\r\nHost: a\r\n\r\n", long(9_000)), 414).await;
    check_refused(&format!("GET /orders HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", long(33_000)), 431).await;
    check_refused(&format!("GET /orders HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(120)), 431).await;
    check_refused(&format!("GET /orders HTTP/1.1\r\nHost: a\r\nX: {}", long(70_000)), 431).await;
}

#[tokio::test]
async fn a_malformed_chunk_ends_the_request_and_never_reaches_the_pool() {
    let backend = Backend::echo().await;
    let world = World::serving(backend.address).await;
    for chunk in ["zz\r\nabc\r\n0\r\n\r\n", "3\r\nabcdef\r\n0\r\n\r\n", "3;a\nb\r\nabc\r\n0\r\n\r\n"] {
        let mut wire = Wire::connect(world.public).await;
        wire.write(format!("POST /orders HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"))
            .await;
        let answer = wire.read().await.unwrap();
        assert_eq!(answer.status(), 400, "{chunk:?} {}", answer.text());
    }
    assert_eq!(world.get("/orders", "").await.status(), 200);
}

#[tokio::test]
async fn a_head_that_does_not_arrive_in_time_ends_the_connection() {
    let limits = Limits { header_read: Duration::from_millis(80), ..Limits::default() };
    let world = World::with_limits(limits).await;
    for sent in ["", "GET /orders HTTP/1.1\r\nHost:"] {
        let mut wire = Wire::connect(world.public).await;
        wire.write(sent).await;
        let began = Instant::now();
        wire.read_to_end().await;
        assert!(began.elapsed() < Duration::from_secs(2), "{sent:?}");
    }
}

#[tokio::test]
async fn a_connection_may_rest_longer_than_a_head_may_take_but_not_for_ever() {
    let limits = Limits {
        header_read: Duration::from_millis(50),
        client_idle: Duration::from_millis(400),
        ..Limits::default()
    };
    let world = World::with_limits(limits).await;
    let mut wire = Wire::connect(world.public).await;
    for _ in 0..2 {
        wire.write("GET /auth HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(wire.read().await.unwrap().status(), 200);
        // A client that has nothing to ask for a while.
        sleep(Duration::from_millis(150)).await;
    }
    wire.write("GET /auth HT").await;
    let began = Instant::now();
    wire.read_to_end().await;
    assert!(began.elapsed() < Duration::from_millis(300));

    let mut idle = Wire::connect(world.public).await;
    idle.write("GET /auth HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(idle.read().await.unwrap().status(), 200);
    let began = Instant::now();
    assert_eq!(idle.read_to_end().await, b"");
    assert!(began.elapsed() >= Duration::from_millis(350));
}

#[tokio::test]
async fn too_long_a_body_is_refused_by_its_length_or_by_count() {
    let backend = Backend::echo().await;
    let policy = RoutePolicy { max_body: "1kB".parse().unwrap(), ..RoutePolicy::default() };
    let mut world = World::with_policy(&policy).await;
    world.set("order", &[(1, backend.address, crate::model::catalog::EndpointState::Ready)]);
    let declared = world.send("POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n").await;
    assert_eq!((declared.status(), declared.header("connection")), (413, Some("close")));
    assert_eq!(backend.connections(), 0);
    let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500));
    let head = "POST /orders HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let counted = world.send(&format!("{head}{chunk}{chunk}1\r\nx\r\n")).await;
    assert_eq!((counted.status(), counted.problem("code").as_str()), (413, "body_too_large"));
    let fits = world.send(&format!("{head}{chunk}{chunk}0\r\n\r\n")).await;
    assert_eq!(fits.status(), 200);
}
