//! Clients that do not take their answers: nothing is held for them for ever.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::backend::Backend;
use super::frames::{
    DATA, END_HEADERS, END_STREAM, Frame, Frames, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE, get,
};
use super::harness::{World, instance};
use super::wire::{PATIENCE, Wire};
use crate::gateway::Limits;
use crate::model::catalog::EndpointState::Ready;
use crate::model::traffic::{RoutePolicy, Timeouts};

const SHORT: Duration = Duration::from_millis(150);
const CANCEL: u32 = 8;

/// Where `order` is at `backend`, and its routes have these time-outs.
async fn world(backend: &Backend, timeouts: Timeouts) -> World {
    let policy = RoutePolicy { timeouts, ..RoutePolicy::default() };
    let limits = Limits { sweep: Duration::from_millis(10), ..Limits::default() };
    let adapt = |platform: &mut crate::model::platform::Platform| {
        for route in platform.services.values_mut().flat_map(|service| &mut service.routes) {
            route.policy = policy.clone();
        }
    };
    let mut world = World::adapted(limits, adapt).await;
    world.set("order", &[(1, backend.address, Ready)]);
    world
}

/// A client that takes so much of each body and no more, unless it says so.
async fn with_window(world: &World, window: u32) -> Frames {
    let mut client = Frames::connect(world.public).await;
    let initial_window = [&4_u16.to_be_bytes()[..], &window.to_be_bytes()].concat();
    client.send(&[Frame::new(SETTINGS, 0, 0, initial_window)]).await;
    client
}

fn request(stream: u32, path: &str) -> Frame {
    Frame::new(HEADERS, END_HEADERS | END_STREAM, stream, get(path))
}

async fn until_in_flight(world: &World, count: usize) {
    let waiting = async {
        while world.upstreams.in_flight(&instance("order", 1)) != count {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never {count} in flight"));
}

/// Writes for as long as somebody reads.
async fn endless() -> Backend {
    Backend::new(|mut wire, _| async move {
        wire.read_head().await;
        wire.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n").await;
        while wire.stream.write_all(&[b'x'; 8 * 1024]).await.is_ok() {}
    })
    .await
}

#[tokio::test]
async fn a_stream_that_is_not_read_is_cut_and_its_connection_goes_on() {
    let backend = Backend::named("12345").await;
    let world = world(&backend, Timeouts { idle: SHORT, ..Timeouts::default() }).await;
    let mut client = with_window(&world, 0).await;
    client.send(&[request(1, "/orders/unread")]).await;
    assert_eq!(client.next_of(HEADERS).await.unwrap().stream, 1);
    let cut = client.next_of(RST_STREAM).await.unwrap();
    assert_eq!((cut.stream, cut.code()), (1, CANCEL));
    until_in_flight(&world, 0).await;
    let line = world.log.about("/orders/unread").await;
    assert_eq!(
        (line["code"].as_str(), line["flag"].as_str()),
        (Some("client_stalled"), Some("SI")),
        "{line}"
    );
    let more = Frame::new(WINDOW_UPDATE, 0, 3, 1000_u32.to_be_bytes());
    client.send(&[request(3, "/orders/read"), more]).await;
    let data = client.next_of(DATA).await.unwrap();
    assert_eq!((data.stream, data.payload.as_slice()), (3, &b"12345"[..]));
}

#[tokio::test]
async fn a_hundred_streams_that_are_not_read_hold_nothing_for_ever() {
    let backend = Backend::named("12345").await;
    let world = world(&backend, Timeouts { idle: SHORT, ..Timeouts::default() }).await;
    let mut client = with_window(&world, 0).await;
    client.send(&(0..100).map(|number| request(2 * number + 1, "/orders")).collect::<Vec<_>>()).await;
    for _ in 0..100 {
        client.next_of(RST_STREAM).await.unwrap();
    }
    until_in_flight(&world, 0).await;
}

#[tokio::test]
async fn a_stream_that_is_read_byte_by_byte_has_its_time_altogether() {
    let backend = endless().await;
    let world = world(&backend, Timeouts { total: 3 * SHORT, ..Timeouts::default() }).await;
    let mut client = with_window(&world, 1).await;
    client.send(&[request(1, "/orders")]).await;
    let cut = loop {
        let frame = client.next().await.unwrap();
        match frame.kind {
            DATA => client.send(&[Frame::new(WINDOW_UPDATE, 0, 1, 1_u32.to_be_bytes())]).await,
            RST_STREAM => break frame,
            _ => {}
        }
    };
    assert_eq!((cut.stream, cut.code()), (1, CANCEL));
    until_in_flight(&world, 0).await;
}

#[tokio::test]
async fn a_connection_of_http_1_that_is_not_read_is_cut() {
    let backend = endless().await;
    let world = world(&backend, Timeouts { idle: SHORT, ..Timeouts::default() }).await;
    let mut client = Wire::connect(world.public).await;
    // What comes after it is not to hide that nobody reads.
    client.write("GET /orders HTTP/1.1\r\nHost: a\r\n\r\nG").await;
    until_in_flight(&world, 1).await;
    until_in_flight(&world, 0).await;
    client.read_to_end().await;
}

#[tokio::test]
async fn a_client_that_reads_may_take_its_time_and_one_that_waits_for_the_instance_too() {
    let backend = Backend::new(|mut wire, _| async move {
        while wire.read_head().await.is_some() {
            wire.write(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
            )
            .await;
            for _ in 0..4 {
                wire.write("5\r\n12345\r\n").await;
                tokio::time::sleep(SHORT / 2).await;
            }
            wire.write("0\r\n\r\n").await;
        }
    })
    .await;
    let world = world(&backend, Timeouts { idle: SHORT, ..Timeouts::default() }).await;
    let mut client = Wire::connect(world.public).await;
    for _ in 0..2 {
        client.write("GET /orders HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(client.read().await.unwrap().text(), "12345".repeat(4));
    }
}
