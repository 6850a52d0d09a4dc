//! Tunnels: both ways, at once, and ending when either side ends.

use std::time::Duration;

use http::Request;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::backend::Backend;
use super::harness::{World, instance};
use super::streams::{Client, head_of};
use super::wire::{PATIENCE, Wire};
use crate::gateway::DrainOutcome;
use crate::gateway::metrics::render;
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
async fn a_tunnel_is_written_down_when_it_is_over_with_what_was_said() {
    let backend = tunnelling().await;
    let world = World::serving(backend.address).await;
    let mut wire = Wire::connect(world.public).await;
    wire.write(HANDSHAKE).await;
    assert_eq!(wire.read_head().await.unwrap().status(), 101);
    wire.write("five!").await;
    assert_eq!(wire.read_some().await, b"five!");
    assert!(world.log.lines().is_empty(), "{}", world.log.text());
    let metrics = render(&world.gateway.sight());
    assert!(metrics.contains("code=\"101\""), "{metrics}");
    drop(wire);
    let line = world.log.about("/orders/live").await;
    assert_eq!((&line["status"], &line["bytes_in"], &line["bytes_out"]), (&json!(101), &json!(5), &json!(5)));
    assert!(line.get("flag").is_none(), "{line}");
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
