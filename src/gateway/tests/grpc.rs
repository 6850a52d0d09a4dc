//! Calls of gRPC: all four kinds, deadlines, and what the gateway says when it is not let through.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::backend::Backend;
use super::harness::{World, instance};
use super::streams::{Answer, Asked, Client, Streams, head_of};
use super::wire::PATIENCE;
use crate::model::catalog::EndpointState::Ready;
use crate::model::traffic::UpstreamProtocol::{Http1, Http2};
use crate::model::traffic::{BreakerPolicy, RoutePolicy, Timeouts, TrafficPolicy};

/// A message with its length before it.
fn message(text: &str) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(text.len()).unwrap());
    bytes.put_slice(text.as_bytes());
    bytes.freeze()
}

/// Reads messages one by one.
struct Messages {
    body: RecvStream,
    buffer: BytesMut,
}

impl Messages {
    fn of(body: RecvStream) -> Self {
        Self { body, buffer: BytesMut::new() }
    }

    async fn next(&mut self) -> Option<String> {
        loop {
            if self.buffer.len() >= 5 {
                let size = u32::from_be_bytes(self.buffer[1..5].try_into().unwrap()) as usize;
                if self.buffer.len() >= 5 + size {
                    let message = self.buffer.split_to(5 + size);
                    return Some(String::from_utf8(message[5..].to_vec()).unwrap());
                }
            }
            let data =
                timeout(PATIENCE, self.body.data()).await.expect("a message within the time")?.unwrap();
            self.body.flow_control().release_capacity(data.len()).unwrap();
            self.buffer.extend_from_slice(&data);
        }
    }

    async fn status(&mut self) -> String {
        let trailers = timeout(PATIENCE, self.body.trailers()).await.unwrap().unwrap().expect("trailers");
        trailers["grpc-status"].to_str().unwrap().to_owned()
    }
}

fn ok() -> HeaderMap {
    HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())])
}

/// Answers each message with `re: ` and the message, as it comes; `many` with three.
async fn conversing(mut asked: Asked) {
    assert_eq!(asked.head.headers()["te"], "trailers");
    let answer = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut stream = asked.respond.send_response(answer, false).unwrap();
    let mut messages = Messages::of(asked.body);
    while let Some(text) = messages.next().await {
        let times = if text == "many" { 3 } else { 1 };
        for _ in 0..times {
            stream.send_data(message(&format!("re: {text}")), false).unwrap();
        }
    }
    stream.send_trailers(ok()).unwrap();
}

fn call(path: &str) -> http::request::Builder {
    Request::post(format!("http://store.localhost{path}"))
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers")
}

#[tokio::test]
async fn calls_of_all_four_kinds_stream_both_ways() {
    let backend = Streams::new(conversing).await;
    let world = World::speaking(Http2, backend.address).await;
    let client = Client::connect(world.public).await;
    // One, one after the other with answers in between, and one that is answered thrice.
    let (response, mut sending) = client.begin(call("/orders").body(()).unwrap()).await;
    let (head, body) = head_of(response).await.unwrap();
    assert_eq!(head.headers["content-type"], "application/grpc");
    let mut answers = Messages::of(body);
    for text in ["first", "second"] {
        sending.send_data(message(text), false).unwrap();
        assert_eq!(answers.next().await, Some(format!("re: {text}")));
    }
    sending.send_data(message("many"), true).unwrap();
    for _ in 0..3 {
        assert_eq!(answers.next().await.as_deref(), Some("re: many"));
    }
    assert_eq!(answers.next().await, None);
    assert_eq!(answers.status().await, "0");
    assert_eq!(world.upstreams.in_flight(&instance("order", 1)), 0);
}

async fn refusal(world: &World, request: Request<()>) -> (u16, String, Vec<u8>) {
    let client = Client::connect(world.public).await;
    let answer = client.ask(request).await.unwrap();
    assert!(answer.trailers.is_none(), "the status is in the head");
    assert_eq!(answer.head.headers["content-type"], "application/grpc+proto");
    assert!(answer.head.headers.contains_key("x-request-id"));
    assert!(!answer.head.headers["grpc-message"].is_empty());
    let status = answer.head.headers["grpc-status"].to_str().unwrap().to_owned();
    (answer.head.status.as_u16(), status, answer.body)
}

#[tokio::test]
async fn what_the_gateway_refuses_is_a_status_of_grpc() {
    let backend =
        Streams::new(|mut asked| async move { asked.respond.send_reset(Reason::INTERNAL_ERROR) }).await;
    let mut world = World::speaking(Http2, backend.address).await;
    for (path, status) in [("/private", "16"), ("/orders", "14")] {
        let found = refusal(&world, call(path).body(()).unwrap()).await;
        assert_eq!(found, (200, status.to_owned(), Vec::new()), "{path}");
    }
    let admin = call("/admin").header("authorization", "Bearer ann").body(()).unwrap();
    assert_eq!(refusal(&world, admin).await.1, "7");
    let nowhere =
        Request::post("http://nobody.store.localhost/x").header("content-type", "application/grpc+proto");
    assert_eq!(refusal(&world, nowhere.body(()).unwrap()).await.1, "12");
    world.set("order", &[]);
    assert_eq!(refusal(&world, call("/orders").body(()).unwrap()).await.1, "14");
}

/// Tells how the gateway took back what it asked; answers nothing, or a head and a message.
async fn silent(head: bool) -> (Streams, mpsc::UnboundedReceiver<Reason>) {
    let (told, tells) = mpsc::unbounded_channel();
    let backend = Streams::new(move |mut asked| {
        let told = told.clone();
        async move {
            if head {
                let mut stream = asked.begin();
                stream.send_data(message("half"), false).unwrap();
                let reason = std::future::poll_fn(|context| stream.poll_reset(context)).await.unwrap();
                told.send(reason).unwrap();
            } else {
                told.send(asked.is_reset().await).unwrap();
            }
        }
    })
    .await;
    (backend, tells)
}

#[tokio::test]
async fn a_call_whose_time_is_over_is_taken_back_and_ends_with_a_status() {
    for head in [false, true] {
        let (backend, mut resets) = silent(head).await;
        let world = World::speaking(Http2, backend.address).await;
        let client = Client::connect(world.public).await;
        let request = call("/orders").header("grpc-timeout", "100m").body(()).unwrap();
        let (response, mut sending) = client.begin(request).await;
        sending.send_data(message("x"), false).unwrap();
        let answer = Answer::of(response).await.unwrap();
        let headers = if head { answer.trailers.as_ref().unwrap() } else { &answer.head.headers };
        assert_eq!((answer.head.status.as_u16(), &headers["grpc-status"]), (200, &"4".parse().unwrap()));
        let reset = timeout(PATIENCE, resets.recv()).await.unwrap();
        assert_eq!(reset, Some(Reason::CANCEL), "{head}");
    }
}

#[tokio::test]
async fn the_route_says_how_long_a_call_may_take_at_most_and_one_without_a_timeout_may_take_long() {
    let timeouts = Timeouts {
        response: Duration::from_millis(50),
        total: Duration::from_millis(50),
        ..Timeouts::default()
    };
    let policy = RoutePolicy { timeouts, ..RoutePolicy::default() };
    let (backend, _resets) = silent(true).await;
    let world = World::speaking_with(Http2, backend.address, &policy).await;
    let client = Client::connect(world.public).await;
    let capped = client.ask(call("/orders").header("grpc-timeout", "1H").body(()).unwrap()).await.unwrap();
    assert_eq!(capped.trailers.unwrap()["grpc-status"], "4");

    let backend = Streams::new(|asked| async move {
        tokio::time::sleep(Duration::from_millis(150)).await;
        conversing(asked).await;
    })
    .await;
    let world = World::speaking_with(Http2, backend.address, &policy).await;
    let client = Client::connect(world.public).await;
    let unhurried = client.ask(call("/orders").body(()).unwrap()).await.unwrap();
    assert_eq!(unhurried.trailers.unwrap()["grpc-status"], "0");
}

#[tokio::test]
async fn a_service_that_takes_no_calls_is_left_alone_though_http_is_fine() {
    let backend = Streams::new(|mut asked| async move {
        let answer =
            Response::builder().header("content-type", "application/grpc").header("grpc-status", "14");
        asked.respond.send_response(answer.body(()).unwrap(), true).unwrap();
    })
    .await;
    let breaker = BreakerPolicy { consecutive_failures: 3, ..BreakerPolicy::default() };
    let traffic = TrafficPolicy { protocol: Http2, breaker, ..TrafficPolicy::default() };
    let mut world = World::with_traffic(&traffic).await;
    world.set("order", &[(1, backend.address, Ready)]);
    let client = Client::connect(world.public).await;
    let mut by_the_gateway = Vec::new();
    for _ in 0..4 {
        let answer = client.ask(call("/orders").body(()).unwrap()).await.unwrap();
        assert_eq!(answer.head.headers["grpc-status"], "14");
        by_the_gateway.push(answer.head.headers.contains_key("grpc-message"));
    }
    assert_eq!(by_the_gateway, [false, false, false, true]);
}

#[tokio::test]
async fn who_only_says_that_it_is_a_call_has_no_more_time_than_others_and_is_answered_like_them() {
    let timeouts = Timeouts { response: Duration::from_millis(50), ..Timeouts::default() };
    let policy = RoutePolicy { timeouts, ..RoutePolicy::default() };
    let (by_2, _resets) = silent(false).await;
    let world = World::speaking_with(Http2, by_2.address, &policy).await;
    let old =
        "POST /orders HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n";
    let late = world.send(old).await;
    assert_eq!((late.status(), late.problem("code").as_str()), (504, "upstream_timeout"));
    let refused = world.send(&old.replace("/orders", "/private")).await;
    assert_eq!((refused.status(), refused.problem("code").as_str()), (401, "token_missing"));

    let by_1 = Backend::new(|mut wire, _| async move {
        wire.read_head().await;
        wire.read_to_end().await;
    })
    .await;
    let world = World::speaking_with(Http1, by_1.address, &policy).await;
    let late = Client::connect(world.public).await.ask(call("/orders").body(()).unwrap()).await.unwrap();
    assert_eq!((late.head.status.as_u16(), late.head.headers.get("grpc-status")), (504, None));
}
