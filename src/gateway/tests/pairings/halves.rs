//! What is only half there: requests that are left, answers and bodies that break off.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use super::{Instance, PAIRINGS};
use crate::gateway::DrainOutcome;
use crate::gateway::tests::backend::Backend;
use crate::gateway::tests::harness::{World, instance};
use crate::gateway::tests::streams::{Client, End, Streams, head_of, read};
use crate::gateway::tests::wire::{PATIENCE, Wire};
use crate::model::traffic::UpstreamProtocol::{self, Http1, Http2};

/// Says when a request began, and how it ended before it was answered; with half an answer or none.
async fn waiting(protocol: UpstreamProtocol, answer: Half) -> (Instance, mpsc::UnboundedReceiver<String>) {
    let (said, says) = mpsc::unbounded_channel();
    let instance = match protocol {
        Http1 => Instance::One(
            Backend::new(move |mut wire, _| {
                let said = said.clone();
                async move {
                    wire.read_head().await;
                    if answer == Half::Head {
                        wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
                    }
                    said.send("began".to_owned()).unwrap();
                    wire.read_to_end().await;
                    said.send("ended".to_owned()).unwrap();
                }
            })
            .await,
        ),
        Http2 => Instance::Two(
            Streams::new(move |mut asked| {
                let said = said.clone();
                async move {
                    let mut stream = (answer == Half::Head).then(|| asked.begin());
                    said.send("began".to_owned()).unwrap();
                    let reset = match &mut stream {
                        None => asked.is_reset().await,
                        Some(stream) => {
                            stream.send_data(Bytes::from_static(b"abc"), false).unwrap();
                            std::future::poll_fn(|context| stream.poll_reset(context)).await.unwrap()
                        }
                    };
                    assert_eq!(reset, h2::Reason::CANCEL);
                    said.send("ended".to_owned()).unwrap();
                }
            })
            .await,
        ),
    };
    (instance, says)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    Nothing,
    Head,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    Nothing,
    HalfABody,
}

/// Asks, waits until the instance has begun, and leaves.
async fn leave(
    client: UpstreamProtocol,
    world: &World,
    sending: Sending,
    began: &mut mpsc::UnboundedReceiver<String>,
) {
    let mut wire = Wire::connect(world.public).await;
    let streams = Client::connect(world.public).await;
    let half = sending == Sending::HalfABody;
    match client {
        Http1 => {
            let (method, lines) =
                if half { ("POST", "Content-Length: 10\r\n\r\nabc") } else { ("GET", "\r\n") };
            wire.write(format!("{method} /orders HTTP/1.1\r\nHost: a\r\n{lines}")).await;
            assert_eq!(timeout(PATIENCE, began.recv()).await.unwrap().as_deref(), Some("began"));
        }
        Http2 => {
            let request = Request::post("http://a/orders").body(()).unwrap();
            let (response, mut stream) = streams.begin(request).await;
            stream.send_data(Bytes::from_static(b"abc"), !half).unwrap();
            assert_eq!(timeout(PATIENCE, began.recv()).await.unwrap().as_deref(), Some("began"));
            drop((response, stream));
            // The reset has to be written before the connection goes.
            assert_eq!(timeout(PATIENCE, began.recv()).await.unwrap().as_deref(), Some("ended"));
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_request_at_the_instance() {
    for (client, upstream) in PAIRINGS {
        for sending in [Sending::Nothing, Sending::HalfABody] {
            for answer in [Half::Nothing, Half::Head] {
                let case = format!("{client:?} to {upstream:?}, {sending:?}, {answer:?}");
                let (backend, mut said) = waiting(upstream, answer).await;
                let world = World::speaking(upstream, backend.address()).await;
                leave(client, &world, sending, &mut said).await;
                if client == Http1 {
                    assert_eq!(timeout(PATIENCE, said.recv()).await.expect(&case).as_deref(), Some("ended"));
                }
                let idle = world.upstreams.drain(&instance("order", 1), PATIENCE).await;
                assert_eq!(idle, DrainOutcome::Idle, "{case}");
            }
        }
    }
}

/// Sends half an answer and, once that was seen, breaks off, in one of several ways.
async fn breaking(protocol: UpstreamProtocol, reason: Option<h2::Reason>, seen: Arc<Notify>) -> Instance {
    match protocol {
        Http1 => Instance::One(
            Backend::new(move |mut wire, _| {
                let seen = Arc::clone(&seen);
                async move {
                    wire.read().await;
                    wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
                    seen.notified().await;
                }
            })
            .await,
        ),
        Http2 => Instance::Two(
            Streams::connected(h2::server::Builder::new(), move |mut asked, end| {
                let seen = Arc::clone(&seen);
                async move {
                    let mut stream = asked.begin();
                    stream.send_data(Bytes::from_static(b"abc"), false).unwrap();
                    seen.notified().await;
                    if let Some(reason) = reason {
                        return stream.send_reset(reason);
                    }
                    end.send(End::Close).unwrap();
                    std::future::pending().await
                }
            })
            .await,
        ),
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_never_looks_complete() {
    use h2::Reason;
    let ways = [None, Some(Reason::NO_ERROR), Some(Reason::CANCEL), Some(Reason::INTERNAL_ERROR)];
    for (client, upstream) in PAIRINGS {
        for reason in if upstream == Http2 { &ways[..] } else { &ways[..1] } {
            let seen = Arc::new(Notify::new());
            let backend = breaking(upstream, *reason, Arc::clone(&seen)).await;
            let world = World::speaking(upstream, backend.address()).await;
            let case = format!("{client:?} to {upstream:?}, {reason:?}");
            match client {
                Http1 => expect_a_cut(&world, &seen, &case).await,
                Http2 => expect_a_reset(&world, &seen, &case).await,
            }
        }
    }
}

async fn expect_a_cut(world: &World, seen: &Notify, case: &str) {
    let mut wire = Wire::connect(world.public).await;
    wire.write("GET /orders HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(wire.read_head().await.unwrap().status(), 200, "{case}");
    assert_eq!(wire.read_some().await, b"3\r\nabc\r\n", "{case}");
    seen.notify_one();
    assert_eq!(wire.read_to_end().await, b"", "{case}");
}

async fn expect_a_reset(world: &World, seen: &Notify, case: &str) {
    let streams = Client::connect(world.public).await;
    let asking = streams.begin(Request::get("http://a/orders").body(()).unwrap()).await;
    let (head, mut body) = head_of(asking.0).await.unwrap();
    assert_eq!(head.status, 200, "{case}");
    assert_eq!(body.data().await.unwrap().unwrap(), "abc", "{case}");
    seen.notify_one();
    let broken = read(&mut body).await.expect_err(case);
    assert!(broken.is_reset() && broken.is_remote(), "{case}: {broken}");
}

#[tokio::test]
async fn half_a_request_body_never_looks_complete() {
    for upstream in [Http1, Http2] {
        let (ended, mut ends) = mpsc::unbounded_channel();
        let backend = match upstream {
            Http1 => Instance::One(
                Backend::new(move |mut wire, _| {
                    let ended = ended.clone();
                    async move {
                        wire.read_head().await;
                        let rest = String::from_utf8(wire.read_to_end().await).unwrap();
                        ended.send(!rest.contains("0\r\n\r\n")).unwrap();
                    }
                })
                .await,
            ),
            Http2 => Instance::Two(
                Streams::new(move |mut asked| {
                    let ended = ended.clone();
                    async move { ended.send(read(&mut asked.body).await.is_err()).unwrap() }
                })
                .await,
            ),
        };
        for reason in [h2::Reason::NO_ERROR, h2::Reason::CANCEL] {
            let world = World::speaking(upstream, backend.address()).await;
            let streams = Client::connect(world.public).await;
            let (_response, mut stream) =
                streams.begin(Request::post("http://a/orders").body(()).unwrap()).await;
            stream.send_data(Bytes::from_static(b"abc"), false).unwrap();
            while world.upstreams.in_flight(&instance("order", 1)) == 0 || backend.connections() == 0 {
                tokio::task::yield_now().await;
            }
            stream.send_reset(reason);
            let broken = timeout(PATIENCE, ends.recv()).await.unwrap();
            assert_eq!(broken, Some(true), "{upstream:?} {reason:?}");
        }
    }
}
