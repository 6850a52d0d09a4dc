//! Responses that are compressed on their way, and those that are not.

use std::io::Read;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::backend::Backend;
use super::harness::World;
use super::wire::{Message, Wire};
use crate::model::catalog::EndpointState;
use crate::model::traffic::RoutePolicy;

const GZIP: &str = "Accept-Encoding: gzip, deflate, br\r\n";

fn text() -> String {
    "all work and no play makes jack a dull boy\n".repeat(1000)
}

/// Answers every request with these extra lines and the text, in one piece with its length.
async fn library(lines: &'static str) -> Backend {
    Backend::new(move |mut wire, _| async move {
        while let Some(request) = wire.read().await {
            let head = format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: {}\r\n\r\n", text().len());
            let body = if request.head.starts_with("HEAD ") { String::new() } else { text() };
            wire.write(head + &body).await;
        }
    })
    .await
}

fn plain(answer: &Message) -> String {
    let mut plain = String::new();
    flate2::read::GzDecoder::new(answer.body.as_slice()).read_to_string(&mut plain).unwrap();
    plain
}

#[tokio::test]
async fn text_is_compressed_for_whom_takes_it() {
    let backend = library("Content-Type: text/plain\r\nETag: \"abc\"\r\n").await;
    let world = World::serving(backend.address).await;
    let answer = world.get("/orders", GZIP).await;
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    assert_eq!(answer.header("content-length"), None);
    assert_eq!(answer.header("vary"), Some("accept-encoding"));
    assert_eq!(answer.header("etag"), Some("W/\"abc\""));
    assert!(answer.body.len() < text().len() / 10, "{}", answer.body.len());
    assert_eq!(plain(&answer), text());
    for refusing in ["", "Accept-Encoding: br\r\n", "Accept-Encoding: gzip;q=0\r\n"] {
        let answer = world.get("/orders", refusing).await;
        assert_eq!((answer.header("content-encoding"), answer.header("etag")), (None, Some("\"abc\"")));
        assert_eq!(answer.text(), text());
    }
}

#[tokio::test]
async fn the_service_is_told_what_the_client_takes() {
    let backend = Backend::echo().await;
    let world = World::serving(backend.address).await;
    assert!(world.get("/orders", GZIP).await.text().contains("gzip, deflate, br"));
}

#[tokio::test]
async fn what_must_not_change_does_not() {
    for lines in [
        "Content-Type: image/png\r\n",
        "Content-Type: text/plain\r\nContent-Encoding: br\r\n",
        "Content-Type: text/plain\r\nCache-Control: no-transform\r\n",
        "",
    ] {
        let backend = library(lines).await;
        let world = World::serving(backend.address).await;
        let answer = world.get("/orders", GZIP).await;
        assert_ne!(answer.header("content-encoding"), Some("gzip"), "{lines}");
        assert_eq!(answer.text(), text(), "{lines}");
    }
}

#[tokio::test]
async fn a_route_may_do_without() {
    let backend = library("Content-Type: text/plain\r\n").await;
    let mut world = World::with_policy(&RoutePolicy { compress: false, ..RoutePolicy::default() }).await;
    world.set("order", &[(1, backend.address, EndpointState::Ready)]);
    assert_eq!(world.get("/orders", GZIP).await.text(), text());
}

#[tokio::test]
async fn a_head_has_the_length_of_the_plain_text() {
    let backend = library("Content-Type: text/plain\r\n").await;
    let world = World::serving(backend.address).await;
    let mut wire = Wire::connect(world.public).await;
    wire.write(format!("HEAD /orders HTTP/1.1\r\nHost: store.localhost\r\n{GZIP}\r\n")).await;
    let head = wire.read_head().await.unwrap();
    assert_eq!(head.header("content-encoding"), None);
    assert_eq!(head.header("content-length"), Some(text().len().to_string().as_str()));
}

#[tokio::test]
async fn a_stream_stays_a_stream() {
    let resumes = Arc::new(Semaphore::new(0));
    let resume = Arc::clone(&resumes);
    let backend = Backend::new(move |mut wire, _| {
        let resume = Arc::clone(&resume);
        async move {
            wire.read().await;
            wire.write(
                "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n",
            )
            .await;
            wire.write("5\r\none\n\n\r\n").await;
            // Nothing follows before the client has the first line.
            let _permit = resume.acquire().await;
            wire.write("5\r\ntwo\n\n\r\n0\r\n\r\n").await;
        }
    })
    .await;
    let world = World::serving(backend.address).await;
    let mut wire = Wire::connect(world.public).await;
    wire.write(format!("GET /orders HTTP/1.1\r\nHost: store.localhost\r\nConnection: close\r\n{GZIP}\r\n"))
        .await;
    assert_eq!(wire.read_head().await.unwrap().header("content-encoding"), Some("gzip"));
    let mut compressed = Vec::new();
    let mut inflate = flate2::Decompress::new(false);
    let mut read = Vec::with_capacity(100);
    while read != b"one\n\n" {
        let size = usize::from_str_radix(&wire.read_line().await, 16).unwrap();
        compressed.extend(wire.take(size).await);
        wire.read_line().await;
        read.clear();
        inflate.reset(false);
        if compressed.len() > 10 {
            inflate.decompress_vec(&compressed[10..], &mut read, flate2::FlushDecompress::Sync).unwrap();
        }
    }
    resumes.add_permits(1);
    let rest = wire.read_to_end().await;
    assert!(rest.ends_with(b"0\r\n\r\n"), "{rest:?}");
}
