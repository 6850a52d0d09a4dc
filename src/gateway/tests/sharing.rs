//! Connections of HTTP/2 to instances: shared, few, replaced when they end, closed with the instance.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use h2::{Reason, server};
use http::Request;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::harness::{World, instance, send};
use super::streams::{Answer, Client, End, Streams, read};
use super::wire::{Message, PATIENCE};
use crate::gateway::DrainOutcome;
use crate::model::traffic::UpstreamProtocol::Http2;

const GET: &str = "GET /orders HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";

/// Counts what arrives, and answers when it is let go.
async fn held(settings: server::Builder) -> (Streams, mpsc::UnboundedReceiver<()>, Arc<Semaphore>) {
    let (arrived, arrivals) = mpsc::unbounded_channel();
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    let backend = Streams::with(settings, move |mut asked| {
        let (arrived, gate) = (arrived.clone(), Arc::clone(&gate));
        async move {
            arrived.send(()).unwrap();
            gate.acquire().await.unwrap().forget();
            asked.answer("held");
        }
    })
    .await;
    (backend, arrivals, go)
}

async fn arrive(arrivals: &mut mpsc::UnboundedReceiver<()>, count: usize) {
    for _ in 0..count {
        timeout(PATIENCE, arrivals.recv()).await.expect("a request within the time");
    }
}

#[tokio::test]
async fn requests_at_the_same_time_share_one_connection() {
    let (backend, mut arrivals, go) = held(server::Builder::new()).await;
    let world = World::speaking(Http2, backend.address).await;
    let asking = tokio::spawn(join_all((0..20).map(|_| send(world.public, GET))));
    arrive(&mut arrivals, 20).await;
    go.add_permits(20);
    assert!(asking.await.unwrap().iter().all(|answer: &Message| answer.text() == "held"));
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn more_than_an_instance_allows_on_one_connection_gets_further_ones_up_to_four() {
    let mut settings = server::Builder::new();
    settings.max_concurrent_streams(2);
    let (backend, mut arrivals, go) = held(settings).await;
    let world = World::speaking(Http2, backend.address).await;
    // From its answer on, the gateway knows what the instance allows.
    go.add_permits(1);
    assert_eq!(send(world.public, GET).await.text(), "held");
    arrive(&mut arrivals, 1).await;
    let asking = tokio::spawn(join_all((0..12).map(|_| send(world.public, GET))));
    arrive(&mut arrivals, 8).await;
    go.add_permits(12);
    assert!(asking.await.unwrap().iter().all(|answer: &Message| answer.text() == "held"));
    assert_eq!(backend.connections(), 4);
}

#[tokio::test]
async fn a_refused_stream_is_tried_again_with_its_body_and_only_once() {
    for (refusals, expected) in [(1, (200, "abc")), (2, (502, "upstream_broken"))] {
        let left = Arc::new(Semaphore::new(refusals));
        let backend = Streams::new(move |mut asked| {
            let left = Arc::clone(&left);
            async move {
                if let Ok(refusal) = left.try_acquire() {
                    refusal.forget();
                    return asked.respond.send_reset(Reason::REFUSED_STREAM);
                }
                let (body, _) = read(&mut asked.body).await.unwrap();
                asked.answer(std::str::from_utf8(&body).unwrap());
            }
        })
        .await;
        let world = World::speaking(Http2, backend.address).await;
        let answer = send(world.public, POST).await;
        let said = if answer.status() == 200 { answer.text() } else { answer.problem("code") };
        assert_eq!((answer.status(), said.as_str()), expected);
    }
}

#[tokio::test]
async fn a_body_of_which_the_rest_is_to_come_goes_to_the_stream_that_was_not_refused() {
    let refuse = Arc::new(Semaphore::new(1));
    let (refused, mut told) = mpsc::unbounded_channel();
    let backend = Streams::new(move |mut asked| {
        let (refuse, refused) = (Arc::clone(&refuse), refused.clone());
        async move {
            if let Ok(refusal) = refuse.try_acquire() {
                refusal.forget();
                assert_eq!(asked.body.data().await.unwrap().unwrap(), "first ");
                asked.respond.send_reset(Reason::REFUSED_STREAM);
                return refused.send(()).unwrap();
            }
            let (body, _) = read(&mut asked.body).await.unwrap();
            asked.answer(std::str::from_utf8(&body).unwrap());
        }
    })
    .await;
    let world = World::speaking(Http2, backend.address).await;
    let client = Client::connect(world.public).await;
    let (response, mut body) = client.begin(Request::post("http://a/orders").body(()).unwrap()).await;
    body.send_data(Bytes::from_static(b"first "), false).unwrap();
    timeout(PATIENCE, told.recv()).await.unwrap().unwrap();
    body.send_data(Bytes::from_static(b"second"), true).unwrap();
    assert_eq!(Answer::of(response).await.unwrap().text(), "first second");
}

/// Answers one request on each connection, and ends the connection like this on the next one.
async fn forgetful(end: End) -> Streams {
    let served = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
    Streams::connected(server::Builder::new(), move |mut asked, ending| {
        let first = served.lock().unwrap().insert(asked.connection);
        async move {
            match (first, end) {
                (true, End::GoAway) => {
                    asked.answer(&format!("connection {}", asked.connection));
                    ending.send(end).unwrap();
                }
                (true, End::Close) => asked.answer(&format!("connection {}", asked.connection)),
                (false, _) => {
                    ending.send(end).unwrap();
                    // Dropping what was asked would reset the stream first.
                    std::future::pending::<()>().await;
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_connection_that_ended_costs_no_get() {
    for end in [End::GoAway, End::Close] {
        let backend = forgetful(end).await;
        let world = World::speaking(Http2, backend.address).await;
        for number in 0..5 {
            let answer = send(world.public, GET).await;
            assert_eq!((answer.status(), answer.text()), (200, format!("connection {number}")), "{end:?}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_was_told_to_end_costs_no_post_either() {
    let backend = forgetful(End::GoAway).await;
    let world = World::speaking(Http2, backend.address).await;
    for number in 0..5 {
        let answer = send(world.public, POST).await;
        assert_eq!((answer.status(), answer.text()), (200, format!("connection {number}")));
    }
}

#[tokio::test]
async fn what_an_instance_may_have_acted_on_is_never_sent_twice() {
    let backend = forgetful(End::Close).await;
    let world = World::speaking(Http2, backend.address).await;
    assert_eq!(send(world.public, GET).await.status(), 200);
    let answer = send(world.public, POST).await;
    assert_eq!((answer.status(), answer.problem("retryable").as_str()), (502, "false"));
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn an_instance_that_does_not_speak_http2_is_a_bad_gateway() {
    let backend = super::backend::Backend::echo().await;
    let world = World::speaking(Http2, backend.address).await;
    let answer = send(world.public, GET).await;
    assert_eq!((answer.status(), answer.problem("code").as_str()), (502, "upstream_broken"));
}

#[tokio::test]
async fn a_drain_waits_for_streams_closes_the_connection_and_cuts_at_its_deadline() {
    let (backend, mut arrivals, go) = held(server::Builder::new()).await;
    let world = World::speaking(Http2, backend.address).await;
    let asking = tokio::spawn(send(world.public, GET));
    arrive(&mut arrivals, 1).await;
    let upstreams = Arc::clone(&world.upstreams);
    let drain = tokio::spawn(async move { upstreams.drain(&instance("order", 1), PATIENCE).await });
    while world.upstreams.in_flight(&instance("order", 1)) > 0 && !drain.is_finished() {
        go.add_permits(1);
        tokio::task::yield_now().await;
    }
    assert_eq!(drain.await.unwrap(), DrainOutcome::Idle);
    assert_eq!(asking.await.unwrap().text(), "held");

    let (backend, mut arrivals, _never) = held(server::Builder::new()).await;
    let world = World::speaking(Http2, backend.address).await;
    let asking = tokio::spawn(send(world.public, GET));
    arrive(&mut arrivals, 1).await;
    let drained = world.upstreams.drain(&instance("order", 1), Duration::from_millis(30)).await;
    assert_eq!(drained, DrainOutcome::CutOff(1));
    assert_eq!(asking.await.unwrap().status(), 502);
}
