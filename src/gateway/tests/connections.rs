//! How connections begin and end: caps, the last request, the last word.

use std::time::Duration;

use super::backend::Backend;
use super::harness::World;
use super::wire::Wire;
use crate::gateway::Limits;
use crate::model::catalog::EndpointState::Ready;

const AUTH: &str = "GET /auth HTTP/1.1\r\nHost: a\r\n\r\n";

async fn is_served(wire: &mut Wire) -> bool {
    wire.write(AUTH).await;
    wire.read().await.is_some_and(|answer| answer.status() == 200)
}

#[tokio::test]
async fn when_all_are_busy_one_more_connection_is_closed_at_once() {
    let mut world = World::with_limits(Limits { connections: 2, ..Limits::default() }).await;
    let silent = Backend::new(|mut wire, _| async move {
        wire.read().await;
        std::future::pending::<()>().await;
    })
    .await;
    world.set("order", &[(1, silent.address, Ready)]);
    let (mut one, mut other) = (Wire::connect(world.public).await, Wire::connect(world.public).await);
    for wire in [&mut one, &mut other] {
        wire.write("GET /orders HTTP/1.1\r\nHost: a\r\n\r\n").await;
    }
    while silent.connections() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(Wire::connect(world.public).await.read_to_end().await, b"");
    // Instances are no clients.
    let mut inside = Wire::connect(world.internal).await;
    inside.write("GET / HTTP/1.1\r\nHost: nobody\r\n\r\n").await;
    assert!(inside.read().await.is_some());
    drop((inside, one));
    // Its end is noticed a moment later.
    while !is_served_now(&world).await {
        tokio::task::yield_now().await;
    }
    let counts = world.gateway.connection_counts();
    assert!(counts.refused >= 1 && counts.accepted >= 4, "{counts:?}");
}

#[tokio::test]
async fn at_the_cap_a_connection_that_rests_gives_way_to_the_next() {
    let world = World::with_limits(Limits { connections: 2, ..Limits::default() }).await;
    let mut rest = Vec::new();
    for _ in 0..5 {
        let mut wire = Wire::connect(world.public).await;
        assert!(is_served(&mut wire).await);
        rest.push(wire);
    }
    for oldest in &mut rest[..3] {
        assert_eq!(oldest.read_to_end().await, b"");
    }
    for newest in &mut rest[3..] {
        assert!(is_served(newest).await);
    }
    let counts = world.gateway.connection_counts();
    assert_eq!((counts.refused, counts.shed), (0, 3));
}

async fn is_served_now(world: &World) -> bool {
    let mut wire = Wire::connect(world.public).await;
    let written = tokio::io::AsyncWriteExt::write_all(&mut wire.stream, AUTH.as_bytes()).await;
    written.is_ok() && wire.read().await.is_some()
}

#[tokio::test]
async fn a_connection_ends_after_its_last_request() {
    let world = World::with_limits(Limits { requests_per_connection: 3, ..Limits::default() }).await;
    let mut wire = Wire::connect(world.public).await;
    for expected in [None, None, Some("close")] {
        wire.write(AUTH).await;
        let answer = wire.read().await.unwrap();
        assert_eq!((answer.status(), answer.header("connection")), (200, expected));
    }
    assert_eq!(wire.read_to_end().await, b"");
}

#[tokio::test]
async fn a_client_that_is_refused_while_it_sends_reads_why() {
    let backend = Backend::echo().await;
    let world = World::serving(backend.address).await;
    let body = vec![b'x'; 1 << 20];
    for head in [
        // Too long by its own word, without a token, and not understood at all.
        "POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n",
        "POST /private HTTP/1.1\r\nHost: a\r\nContent-Length: 8388608\r\n\r\n",
        "POST /orders HTTP/1.1\r\nHost : a\r\nContent-Length: 8388608\r\n\r\n",
    ] {
        let mut wire = Wire::connect(world.public).await;
        wire.write(head).await;
        for _ in 0..8 {
            wire.write(&body).await;
        }
        let answer = wire.read().await.expect("an answer instead of a reset");
        assert!([400, 401, 413].contains(&answer.status()), "{}", answer.head);
        assert!(!answer.problem("request_id").is_empty());
    }
}

#[tokio::test]
async fn a_client_that_goes_on_sending_is_not_listened_to_for_ever() {
    let limits = Limits { linger: Duration::from_millis(100), ..Limits::default() };
    let world = World::with_limits(limits).await;
    let mut wire = Wire::connect(world.public).await;
    wire.write("POST /orders HTTP/1.1\r\nHost : a\r\nContent-Length: 8388608\r\n\r\nx").await;
    assert_eq!(wire.read().await.unwrap().status(), 400);
    while world.gateway.connection_counts().open > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_malformed_head_is_answered_with_a_document() {
    let world = World::new().await;
    for (request, expected) in [
        ("GET /orders HTTP/1.1\r\nHost : a\r\n\r\n", "400 request_malformed"),
        ("GET /orders HTTP/9.9\r\nHost: a\r\n\r\n", "400 request_malformed"),
        ("nonsense\r\n\r\n", "400 request_malformed"),
        (
            &format!("GET /orders HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(120)),
            "431 headers_too_large",
        ),
        (&format!("GET /orders HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(70_000)), "431 headers_too_large"),
    ] {
        let mut wire = Wire::connect(world.public).await;
        for _ in 0..2 {
            assert!(is_served(&mut wire).await);
        }
        wire.write(request).await;
        let answer = wire.read().await.unwrap();
        assert_eq!(format!("{} {}", answer.status(), answer.problem("code")), expected, "{}", answer.head);
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(answer.header("x-request-id").unwrap(), answer.problem("request_id"));
        assert_eq!(wire.read_to_end().await, b"");
    }
}

#[tokio::test]
async fn a_pipelined_message_whose_end_is_in_doubt_is_refused_and_the_one_before_it_served() {
    let backend = Backend::echo().await;
    let world = World::serving(backend.address).await;
    for (first, status) in [
        ("GET /orders HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 200),
        ("POST /orders HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200),
    ] {
        let hidden = "GET /orders/hidden HTTP/1.1\r\nHost: a\r\n\r\n";
        let doubtful = "POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
        let mut wire = Wire::connect(world.public).await;
        wire.write(format!("{first}{doubtful}{hidden}")).await;
        assert_eq!(wire.read().await.unwrap().status(), status);
        let refused = wire.read().await.unwrap();
        assert_eq!((refused.status(), refused.problem("code").as_str()), (400, "framing_ambiguous"));
        assert_eq!(wire.read_to_end().await, b"");
    }
}

#[tokio::test]
async fn a_pipelined_head_that_does_not_arrive_in_time_ends_the_connection() {
    let backend = Backend::echo().await;
    let limits = Limits { header_read: Duration::from_millis(80), ..Limits::default() };
    let mut world = World::with_limits(limits).await;
    world.set("order", &[(1, backend.address, Ready)]);
    let mut wire = Wire::connect(world.public).await;
    wire.write("GET /orders HTTP/1.1\r\nHost: a\r\n\r\nGET /orders HT").await;
    assert_eq!(wire.read().await.unwrap().status(), 200);
    assert_eq!(wire.read_to_end().await, b"");
}

#[tokio::test]
async fn what_an_instance_says_early_reaches_the_client_early() {
    let backend = Backend::new(|mut wire, _| async move {
        while wire.read().await.is_some() {
            wire.write("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nX-Stage: 1\r\n\r\n").await;
            // The final answer comes once the client has shown that it has read the early one.
            wire.read().await;
            wire.write(super::backend::ok("done")).await;
        }
    })
    .await;
    let world = World::serving(backend.address).await;
    let mut wire = Wire::connect(world.public).await;
    wire.write("GET /orders HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let early = wire.read().await.unwrap();
    assert_eq!((early.status(), early.header("link")), (103, Some("</a.css>; rel=preload")));
}
