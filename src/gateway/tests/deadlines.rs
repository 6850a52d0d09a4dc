//! Pauses and totals: bodies that stop coming, and answers that take too long.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::backend::Backend;
use super::harness::{World, instance};
use super::wire::{PATIENCE, Wire};
use crate::model::traffic::UpstreamProtocol::Http1;
use crate::model::traffic::{RoutePolicy, Timeouts};

const SHORT: Duration = Duration::from_millis(120);

/// Writes this head and a piece of the body every few milliseconds, so many; tells when the gateway
/// has left.
async fn dripping(head: &'static str, pieces: usize) -> (Backend, mpsc::UnboundedReceiver<()>) {
    let (left, leaves) = mpsc::unbounded_channel();
    let backend = Backend::new(move |mut wire, _| {
        let left = left.clone();
        async move {
            wire.read_head().await;
            wire.write(format!("HTTP/1.1 200 OK\r\n{head}Transfer-Encoding: chunked\r\n\r\n")).await;
            for _ in 0..pieces {
                // Once the gateway has left, nothing can be written.
                let _ = wire.stream.write_all(b"1\r\nx\r\n").await;
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            if pieces > 1 {
                let _ = wire.stream.write_all(b"0\r\n\r\n").await;
            }
            wire.read_to_end().await;
            left.send(()).unwrap();
        }
    })
    .await;
    (backend, leaves)
}

/// Everything that a client is given after the head.
async fn rest(timeouts: Timeouts, backend: &Backend) -> String {
    let policy = RoutePolicy { timeouts, ..RoutePolicy::default() };
    let world = World::speaking_with(Http1, backend.address, &policy).await;
    let mut wire = Wire::connect(world.public).await;
    wire.write("GET /orders HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(wire.read_head().await.unwrap().status(), 200);
    let rest = String::from_utf8(wire.read_to_end().await).unwrap();
    assert_eq!(world.upstreams.in_flight(&instance("order", 1)), 0);
    rest
}

#[tokio::test]
async fn a_body_that_stops_coming_is_broken_off_on_both_sides() {
    let (backend, mut leaves) = dripping("", 1).await;
    let found = rest(Timeouts { idle: SHORT, ..Timeouts::default() }, &backend).await;
    assert_eq!(found, "1\r\nx\r\n");
    timeout(PATIENCE, leaves.recv()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_body_that_keeps_coming_may_take_longer_than_a_pause() {
    let (backend, _leaves) = dripping("", 10).await;
    let found = rest(Timeouts { idle: SHORT, ..Timeouts::default() }, &backend).await;
    assert!(found.ends_with("0\r\n\r\n"), "{found:?}");
}

#[tokio::test]
async fn an_answer_may_take_only_so_long_altogether_unless_it_is_a_stream_of_events() {
    let timeouts = Timeouts { total: SHORT, ..Timeouts::default() };
    let (backend, mut leaves) = dripping("", 10).await;
    let found = rest(timeouts, &backend).await;
    assert!(found.starts_with("1\r\nx\r\n") && !found.ends_with("0\r\n\r\n"), "{found:?}");
    timeout(PATIENCE, leaves.recv()).await.unwrap().unwrap();

    let (backend, _leaves) = dripping("Content-Type: text/event-stream\r\n", 10).await;
    let found = rest(timeouts, &backend).await;
    assert!(found.ends_with("0\r\n\r\n"), "{found:?}");
}
