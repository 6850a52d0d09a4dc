//! Bodies: at once, both ways, with back-pressure, and ending when either side ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use super::backend::Backend;
use super::harness::{World, instance};
use super::wire::{PATIENCE, Wire};
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
