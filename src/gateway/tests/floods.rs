//! HTTP/2 connections that try to wear the gateway out. Each ends or is slowed down, and others are
//! served meanwhile.

use std::time::Duration;

use super::backend::Backend;
use super::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Frame, Frames, GOAWAY, HEADERS, PING,
    REFUSED_STREAM, RST_STREAM, SETTINGS, WINDOW_UPDATE, get, literal,
};
use super::harness::World;
use crate::gateway::Limits;
use crate::model::catalog::EndpointState::Ready;

/// An instance that never answers.
async fn silent() -> (World, Backend) {
    let backend = Backend::new(|mut wire, _| async move { while wire.read().await.is_some() {} }).await;
    (World::serving(backend.address).await, backend)
}

fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|number| 2 * number + 1)
}

fn request(stream: u32) -> Frame {
    Frame::new(HEADERS, END_HEADERS | END_STREAM, stream, get("/orders"))
}

async fn is_served(world: &World) {
    assert_eq!(world.get("/auth", "").await.status(), 200);
}

#[tokio::test]
async fn the_hundred_and_first_stream_is_refused() {
    let (world, _backend) = silent().await;
    let mut client = Frames::connect(world.public).await;
    client.send(&streams(101).map(request).collect::<Vec<_>>()).await;
    let refused = client.next_of(RST_STREAM).await.unwrap();
    assert_eq!((refused.stream, refused.code()), (201, REFUSED_STREAM));
}

#[tokio::test]
async fn rapid_resets_end_the_connection() {
    let (world, backend) = silent().await;
    let mut client = Frames::connect(world.public).await;
    let reset = |stream| Frame::new(RST_STREAM, 0, stream, 8_u32.to_be_bytes());
    client.send(&streams(1000).flat_map(|stream| [request(stream), reset(stream)]).collect::<Vec<_>>()).await;
    assert_eq!(client.next_of(GOAWAY).await.unwrap().code(), ENHANCE_YOUR_CALM);
    assert!(client.next_of(DATA).await.is_none());
    assert!(backend.connections() < 100, "{}", backend.connections());
    is_served(&world).await;
}

#[tokio::test]
async fn streams_that_make_the_gateway_reset_them_end_the_connection() {
    let (world, _backend) = silent().await;
    let mut client = Frames::connect(world.public).await;
    // More than a window can hold is a fault of the stream, not of the connection.
    let too_much = |stream| Frame::new(WINDOW_UPDATE, 0, stream, 0x7fff_ffff_u32.to_be_bytes());
    client
        .send(&streams(2000).flat_map(|stream| [request(stream), too_much(stream)]).collect::<Vec<_>>())
        .await;
    assert_eq!(client.next_of(GOAWAY).await.unwrap().code(), ENHANCE_YOUR_CALM);
    is_served(&world).await;
}

#[tokio::test]
async fn a_head_without_end_ends_the_connection() {
    let (world, _backend) = silent().await;
    for payload in [Vec::new(), literal("x", &"x".repeat(4000))] {
        let mut client = Frames::connect(world.public).await;
        let mut frames = vec![Frame::new(HEADERS, END_STREAM, 1, get("/orders"))];
        frames.extend((0..2000).map(|_| Frame::new(CONTINUATION, 0, 1, payload.clone())));
        client.send(&frames).await;
        assert!(client.next_of(GOAWAY).await.is_some());
        assert!(client.next_of(DATA).await.is_none());
    }
    is_served(&world).await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_and_the_connection_goes_on() {
    let (world, _backend) = silent().await;
    let mut client = Frames::connect(world.public).await;
    let mut block = get("/auth");
    (0..9).for_each(|_| block.extend(literal("x", &"x".repeat(4000))));
    let mut pieces = block.chunks(16_000).peekable();
    let first = pieces.next().unwrap();
    let mut frames = vec![Frame::new(HEADERS, END_STREAM, 1, first)];
    while let Some(piece) = pieces.next() {
        let flags = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        frames.push(Frame::new(CONTINUATION, flags, 1, piece));
    }
    frames.push(Frame::new(HEADERS, END_HEADERS | END_STREAM, 3, get("/auth")));
    client.send(&frames).await;
    let answer = client.next_of(HEADERS).await.unwrap();
    // 431 is none of the statuses that HPACK has a number for.
    assert!(answer.stream == 1 && !answer.payload.contains(&0x88), "{answer:?}");
    let other = client.next_of(HEADERS).await.unwrap();
    assert!(other.stream == 3 && other.payload.contains(&0x88), "{other:?}");
}

#[tokio::test]
async fn pings_and_settings_without_end_hold_nobody_else_up() {
    let (world, _backend) = silent().await;
    for frame in [Frame::new(PING, 0, 0, [0; 8]), Frame::new(SETTINGS, 0, 0, [])] {
        let mut client = Frames::connect(world.public).await;
        // Nothing of what comes back is read: what cannot be sent on must not pile up.
        let flood = vec![frame; 1000];
        let flooding = tokio::spawn(async move {
            let bytes: Vec<u8> = flood.iter().flat_map(Frame::bytes).collect();
            for _ in 0..200 {
                if tokio::io::AsyncWriteExt::write_all(&mut client.0, &bytes).await.is_err() {
                    break;
                }
            }
        });
        for _ in 0..5 {
            is_served(&world).await;
        }
        flooding.abort();
    }
}

#[tokio::test]
async fn a_connection_that_rests_too_long_is_told_to_go() {
    let backend = Backend::echo().await;
    let limits = Limits { client_idle: Duration::from_millis(100), ..Limits::default() };
    let mut world = World::with_limits(limits).await;
    world.set("order", &[(1, backend.address, Ready)]);
    let mut client = Frames::connect(world.public).await;
    client.send(&[request(1)]).await;
    assert_eq!(client.next_of(HEADERS).await.unwrap().stream, 1);
    let farewell = client.next_of(GOAWAY).await.unwrap();
    assert_eq!(farewell.code(), 0);
    assert!(client.next_of(DATA).await.is_none());
}

#[tokio::test]
async fn a_connection_that_has_served_enough_is_told_to_go() {
    let limits = Limits { requests_per_connection: 3, ..Limits::default() };
    let world = World::with_limits(limits).await;
    let mut client = Frames::connect(world.public).await;
    let auth = |stream| Frame::new(HEADERS, END_HEADERS | END_STREAM, stream, get("/auth"));
    for stream in streams(2) {
        client.send(&[auth(stream)]).await;
        assert_eq!(client.next_of(HEADERS).await.unwrap().stream, stream);
    }
    client.send(&[auth(5)]).await;
    let (mut told, mut answered) = (false, false);
    while !(told && answered) {
        let frame = client.next().await.unwrap();
        told |= frame.kind == GOAWAY && frame.code() == 0;
        answered |= frame.kind == HEADERS && frame.stream == 5;
    }
}
