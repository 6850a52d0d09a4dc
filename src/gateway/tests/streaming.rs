//! Bodies and tunnels: at once, both ways, with back-pressure, and ending when either side ends.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use super::backend::Backend;
use super::harness::{World, instance};
use super::streams::{Client, head_of};
use super::wire::{PATIENCE, Wire};
use crate::gateway::DrainOutcome;
use crate::model::catalog::EndpointState::Ready;
use crate::model::traffic::{RoutePolicy, Timeouts, UpstreamProtocol};

pub const HANDSHAKE: &str = "GET /orders/live HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// The close frame of a WebSocket whose server is going away.
pub const GOING_AWAY: [u8; 4] = [0x88, 2, 0x03, 0xE9];

/// Accepts a tunnel and sends back what comes through it.
pub async fn tunnelling() -> Backend {
    Backend::new(|mut wire, _| async move {
        let request = wire.read().await.unwrap();
        assert_eq!(request.header("upgrade"), Some("websocket"), "{}", request.head);
        wire.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            .await;
        loop {
            let bytes = wire.read_some().await;
            if bytes.is_empty() {
                break;
            }
            wire.write(bytes).await;
        }
    })
    .await
}

#[tokio::test]
async fn an_event_arrives_before_the_next_one_is_written() {
    let more = Arc::new(Notify::new());
    let told = Arc::clone(&more);
    let backend = Backend::new(move |mut wire, _| {
        let told = Arc::clone(&told);
        async move {
            wire.read().await;
            wire.write(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
            )
            .await;
            wire.write("a\r\ndata: 1\n\n\n\r\n").await;
            told.notified().await;
            wire.write("a\r\ndata: 2\n\n\n\r\n0\r\n\r\n").await;
        }
    })
    .await;
    let world = World::serving(backend.address).await;
    let mut wire = Wire::connect(world.public).await;
    wire.write("GET /orders HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(wire.read_head().await.unwrap().header("content-type"), Some("text/event-stream"));
    assert!(String::from_utf8(wire.read_some().await).unwrap().contains("data: 1"));
    assert_eq!(world.upstreams.in_flight(&instance("order", 1)), 1);
    more.notify_one();
    assert!(String::from_utf8(wire.read_some().await).unwrap().contains("data: 2"));
}

#[tokio::test]
async fn a_request_body_is_handed_on_as_it_comes() {
    let (seen, mut pieces) = mpsc::unbounded_channel();
    let backend = Backend::new(move |mut wire, _| {
        let seen = seen.clone();
        async move {
            wire.read_head().await;
            for _ in 0..2 {
                wire.read_line().await;
                seen.send(wire.read_line().await).unwrap();
            }
            wire.write(super::backend::ok("done")).await;
        }
    })
    .await;
    let world = World::serving(backend.address).await;
    let mut wire = Wire::connect(world.public).await;
    wire.write("POST /orders HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n").await;
    assert_eq!(timeout(PATIENCE, pieces.recv()).await.unwrap().as_deref(), Some("first"));
    wire.write("6\r\nsecond\r\n0\r\n\r\n").await;
    assert_eq!(timeout(PATIENCE, pieces.recv()).await.unwrap().as_deref(), Some("second"));
    assert_eq!(wire.read().await.unwrap().text(), "done");
}

#[tokio::test]
async fn a_client_that_does_not_read_slows_the_instance_down() {
    let (stalled, mut written) = mpsc::unbounded_channel();
    let backend = Backend::new(move |mut wire, _| {
        let stalled = stalled.clone();
        async move {
            wire.read().await;
            wire.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n").await;
            let (piece, mut total) = (vec![b'x'; 64 * 1024], 0);
            while let Ok(Ok(count)) = timeout(Duration::from_millis(400), wire.stream.write(&piece)).await {
                total += count;
            }
            stalled.send(total).unwrap();
        }
    })
    .await;
    let world = World::serving(backend.address).await;
    let mut wire = Wire::connect(world.public).await;
    wire.write("GET /orders HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let total = timeout(PATIENCE, written.recv()).await.unwrap().unwrap();
    assert!(total < 32 << 20, "{total} bytes were taken from the instance: more than sockets buffer");
    drop(wire);
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_request_at_the_instance() {
    let (ended, mut ends) = mpsc::unbounded_channel();
    let backend = Backend::new(move |mut wire, _| {
        let ended = ended.clone();
        async move {
            wire.read().await;
            ended.send("began").unwrap();
            wire.read_to_end().await;
            ended.send("ended").unwrap();
        }
    })
    .await;
    let world = World::serving(backend.address).await;
    let mut wire = Wire::connect(world.public).await;
    wire.write("GET /orders HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(timeout(PATIENCE, ends.recv()).await.unwrap(), Some("began"));
    drop(wire);
    assert_eq!(timeout(PATIENCE, ends.recv()).await.unwrap(), Some("ended"));
}

#[tokio::test]
async fn a_body_is_not_asked_for_before_the_caller_was_let_in() {
    let backend = Backend::echo().await;
    let world = World::serving(backend.address).await;
    let lines = "Host: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    let answer = world.send(&format!("POST /private HTTP/1.1\r\n{lines}")).await;
    assert_eq!(answer.status(), 401);
    let mut wire = Wire::connect(world.public).await;
    wire.write(format!("POST /orders HTTP/1.1\r\n{lines}")).await;
    assert_eq!(wire.read_head().await.unwrap().status(), 100);
    wire.write("abc").await;
    assert!(wire.read().await.unwrap().text().ends_with("abc"));
}

#[tokio::test]
async fn answers_without_content_stay_without_it() {
    for (method, answer) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"),
    ] {
        let backend = Backend::new(move |mut wire, _| async move {
            while wire.read().await.is_some() {
                wire.write(answer).await;
            }
        })
        .await;
        let world = World::serving(backend.address).await;
        let mut wire = Wire::connect(world.public).await;
        // The second answer would be misread if the first had content.
        for _ in 0..2 {
            wire.write(format!("{method} /orders HTTP/1.1\r\nHost: a\r\n\r\n")).await;
            let head = wire.read_head().await.unwrap();
            assert_eq!(head.status().to_string(), answer.split(' ').nth(1).unwrap());
            assert_eq!(head.header("content-length"), (method == "HEAD").then_some("7"));
        }
        assert_eq!(backend.connections(), 1);
    }
}

#[tokio::test]
async fn a_tunnel_carries_bytes_both_ways_and_survives_every_new_table() {
    let (backend, other) = (tunnelling().await, Backend::named("other").await);
    let mut world = World::serving(backend.address).await;
    let mut wire = Wire::connect(world.public).await;
    wire.write(format!("{HANDSHAKE}early")).await;
    let accepted = wire.read_head().await.unwrap();
    assert_eq!((accepted.status(), accepted.header("upgrade")), (101, Some("websocket")));
    assert_eq!(wire.read_some().await, b"early");
    for _ in 0..20 {
        world.set("order", &[(2, other.address, Ready)]);
        world.set("order", &[(1, backend.address, Ready)]);
    }
    wire.write("\0later\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n").await;
    assert!(wire.read_some().await.starts_with(b"\0later"));
    assert_eq!(world.upstreams.in_flight(&instance("order", 1)), 1);
    wire.stream.shutdown().await.unwrap();
    assert_eq!(wire.read_to_end().await, b"");
    let drained = world.upstreams.drain(&instance("order", 1), PATIENCE).await;
    assert_eq!(drained, DrainOutcome::Idle);
}

#[tokio::test]
async fn a_tunnel_is_counted_in_a_drain_and_cut_at_its_deadline() {
    let backend = tunnelling().await;
    let world = World::serving(backend.address).await;
    let mut wire = Wire::connect(world.public).await;
    wire.write(HANDSHAKE).await;
    assert_eq!(wire.read_head().await.unwrap().status(), 101);
    let drained = world.upstreams.drain(&instance("order", 1), Duration::from_millis(50)).await;
    assert_eq!(drained, DrainOutcome::CutOff(1));
    assert_eq!(wire.read_to_end().await, GOING_AWAY);
    assert_eq!(world.upstreams.in_flight(&instance("order", 1)), 0);
}

#[tokio::test]
async fn only_websockets_are_tunnelled() {
    let backend = Backend::echo().await;
    let world = World::serving(backend.address).await;
    let lines =
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n";
    let answer = world.get("/orders", lines).await;
    assert_eq!(answer.status(), 200);
    for gone in ["upgrade", "connection", "http2-settings"] {
        assert!(!answer.text().contains(gone), "{}", answer.text());
    }
}

#[tokio::test]
async fn small_writes_are_not_held_back() {
    let backend = tunnelling().await;
    let world = World::serving(backend.address).await;
    let mut wire = Wire::connect(world.public).await;
    wire.write(HANDSHAKE).await;
    wire.read_head().await.unwrap();
    let exchange = async {
        let mut byte = [0];
        for _ in 0..50 {
            wire.stream.write_all(b"x").await.unwrap();
            wire.stream.read_exact(&mut byte).await.unwrap();
        }
    };
    // With Nagle's algorithm and delayed acknowledgements this would take 40 ms each.
    timeout(Duration::from_secs(1), exchange).await.expect("fifty small round trips within a second");
}

#[tokio::test]
async fn a_tunnel_that_is_cut_within_a_frame_just_ends() {
    let backend = tunnelling().await;
    let world = World::serving(backend.address).await;
    let mut wire = Wire::connect(world.public).await;
    wire.write(HANDSHAKE).await;
    assert_eq!(wire.read_head().await.unwrap().status(), 101);
    wire.write(b"\x82\x05abc").await;
    assert_eq!(wire.read_some().await, b"\x82\x05abc");
    let drained = world.upstreams.drain(&instance("order", 1), Duration::from_millis(50)).await;
    assert_eq!(drained, DrainOutcome::CutOff(1));
    assert_eq!(wire.read_to_end().await, b"");
}

#[tokio::test]
async fn a_side_that_says_no_more_is_still_listened_to_by_the_other() {
    let backend = Backend::new(|mut wire, _| async move {
        wire.read().await.unwrap();
        wire.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            .await;
        assert_eq!(wire.read_to_end().await, b"last words");
        wire.write("heard").await;
    })
    .await;
    let world = World::serving(backend.address).await;
    let mut wire = Wire::connect(world.public).await;
    wire.write(HANDSHAKE).await;
    assert_eq!(wire.read_head().await.unwrap().status(), 101);
    wire.write("last words").await;
    wire.stream.shutdown().await.unwrap();
    assert_eq!(wire.read_to_end().await, b"heard");
}

#[tokio::test]
async fn a_tunnel_may_be_silent_only_so_long() {
    let backend = tunnelling().await;
    let timeouts = Timeouts { tunnel_idle: Duration::from_millis(50), ..Timeouts::default() };
    let policy = RoutePolicy { timeouts, ..RoutePolicy::default() };
    let world = World::speaking_with(UpstreamProtocol::Http1, backend.address, &policy).await;
    let mut wire = Wire::connect(world.public).await;
    wire.write(HANDSHAKE).await;
    assert_eq!(wire.read_head().await.unwrap().status(), 101);
    assert_eq!(wire.read_to_end().await, GOING_AWAY);
}

#[tokio::test]
async fn a_client_of_http2_opens_a_websocket_on_a_stream() {
    let backend = tunnelling().await;
    let world = World::serving(backend.address).await;
    let client = Client::connect(world.public).await;
    let mut request = Request::builder()
        .method("CONNECT")
        .uri("http://a/orders/live")
        .header("sec-websocket-version", "13")
        .body(())
        .unwrap();
    request.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
    let (response, mut sending) = client.begin(request).await;
    let (head, mut body) = head_of(response).await.unwrap();
    assert_eq!(head.status, 200);
    for gone in ["upgrade", "connection", "sec-websocket-accept"] {
        assert!(!head.headers.contains_key(gone), "{gone}");
    }
    for text in ["\u{1}\u{3}one", "\u{1}\u{3}two"] {
        sending.send_data(text.into(), false).unwrap();
        assert_eq!(timeout(PATIENCE, body.data()).await.unwrap().unwrap().unwrap(), text);
    }
    let drained = world.upstreams.drain(&instance("order", 1), Duration::from_millis(50)).await;
    assert_eq!(drained, DrainOutcome::CutOff(1));
    assert_eq!(timeout(PATIENCE, body.data()).await.unwrap().unwrap().unwrap(), &GOING_AWAY[..]);

    let plain = Request::builder().method("CONNECT").uri("a:80").body(()).unwrap();
    assert_eq!(client.ask(plain).await.unwrap().head.status, 501);
    let mut other = Request::builder().method("CONNECT").uri("http://a/orders/live").body(()).unwrap();
    other.extensions_mut().insert(h2::ext::Protocol::from_static("connect-udp"));
    assert_eq!(client.ask(other).await.unwrap().head.status, 501);
}

#[tokio::test]
async fn what_is_said_before_the_answer_is_heard_before_the_answer() {
    let more = Arc::new(Notify::new());
    let told = Arc::clone(&more);
    let backend = Backend::new(move |mut wire, _| {
        let told = Arc::clone(&told);
        async move {
            wire.read().await;
            wire.write("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x-gone\r\nX-Gone: 1\r\n\r\n")
                .await;
            told.notified().await;
            wire.write(super::backend::ok("done")).await;
        }
    })
    .await;
    let world = World::serving(backend.address).await;
    let mut wire = Wire::connect(world.public).await;
    wire.write("GET /orders HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(wire.read_head().await.unwrap().status(), 102);
    let hint = wire.read_head().await.unwrap();
    assert_eq!((hint.status(), hint.header("link"), hint.header("x-gone")), (103, Some("</a>"), None));
    more.notify_one();
    assert_eq!(wire.read().await.unwrap().text(), "done");
}
