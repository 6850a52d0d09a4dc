//! Clients and instances of either protocol, in all four pairings.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};

use super::backend::Backend;
use super::harness::{World, instance};
use super::streams::{Answer, Asked, Client, Streams, read};
use super::wire::Wire;
use crate::model::traffic::UpstreamProtocol::{self, Http1, Http2};

mod halves;

const PAIRINGS: [(UpstreamProtocol, UpstreamProtocol); 4] =
    [(Http1, Http1), (Http1, Http2), (Http2, Http1), (Http2, Http2)];

/// An instance of either protocol.
enum Instance {
    One(Backend),
    Two(Streams),
}

impl Instance {
    fn address(&self) -> std::net::SocketAddr {
        match self {
            Self::One(backend) => backend.address,
            Self::Two(streams) => streams.address,
        }
    }

    fn connections(&self) -> usize {
        match self {
            Self::One(backend) => backend.connections(),
            Self::Two(streams) => streams.connections(),
        }
    }
}

/// Tells what it was asked, in the same words whatever the protocol, then says in trailers how long
/// the request body was.
async fn telling(protocol: UpstreamProtocol) -> Instance {
    match protocol {
        Http1 => Instance::One(Backend::new(|wire, _| tell_on_wire(wire)).await),
        Http2 => Instance::Two(Streams::new(tell_on_stream).await),
    }
}

async fn tell_on_wire(mut wire: Wire) {
    while let Some(request) = wire.read().await {
        let line = request.head.lines().next().unwrap().trim_end_matches(" HTTP/1.1");
        let mut told = format!("{line} to {}\n", request.header("host").unwrap_or_default());
        for name in ["cookie", "te", "connection"] {
            request.headers(name).iter().for_each(|value| writeln!(told, "{name}: {value}").unwrap());
        }
        write!(told, "{}\n{}", request.text(), wire.trailers.join("\n")).unwrap();
        let (sum, size) = (request.body.len(), told.len());
        let head = "HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n";
        wire.write(format!("{head}{size:x}\r\n{told}\r\n0\r\nx-sum: {sum}\r\n\r\n")).await;
    }
}

async fn tell_on_stream(mut asked: Asked) {
    let (body, trailers) = read(&mut asked.body).await.unwrap();
    let uri = asked.head.uri();
    assert_eq!(uri.scheme_str(), Some("http"));
    let target = uri.path_and_query().unwrap();
    let mut told = format!("{} {target} to {}\n", asked.head.method(), uri.authority().unwrap());
    for name in ["cookie", "te", "connection", "host"] {
        for value in asked.head.headers().get_all(name) {
            writeln!(told, "{name}: {}", value.to_str().unwrap()).unwrap();
        }
    }
    let trailers =
        trailers.iter().flatten().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
    let trailers = trailers.collect::<Vec<_>>().join("\n");
    write!(told, "{}\n{trailers}", String::from_utf8_lossy(&body)).unwrap();
    let answer = http::Response::builder().header("trailer", "x-sum").body(()).unwrap();
    let mut stream = asked.respond.send_response(answer, false).unwrap();
    stream.send_data(told.into(), false).unwrap();
    stream.send_trailers(HeaderMap::from_iter([("x-sum".parse().unwrap(), body.len().into())])).unwrap();
}

/// What a client got.
#[derive(Debug, PartialEq)]
struct Got {
    status: u16,
    text: String,
    trailers: Vec<String>,
}

/// POSTs `abc` in two pieces with a trailer, and asks for trailers.
async fn post(client: UpstreamProtocol, world: &World) -> Got {
    match client {
        Http1 => {
            let lines = "Host: store.localhost\r\nCookie: a=1; b=2\r\nTE: trailers\r\nConnection: te\r\nTrailer: x-end\r\n";
            let body = "1\r\na\r\n2\r\nbc\r\n0\r\nx-end: yes\r\n\r\n";
            let head = format!("POST /orders?x=%2F HTTP/1.1\r\n{lines}Transfer-Encoding: chunked\r\n\r\n");
            let mut wire = Wire::connect(world.public).await;
            wire.write(head + body).await;
            let got = wire.read().await.unwrap();
            Got { status: got.status(), text: got.text(), trailers: wire.trailers }
        }
        Http2 => {
            let request = Request::post("http://store.localhost/orders?x=%2F").header("te", "trailers");
            let request = request.header("cookie", "a=1").header("cookie", "b=2").header("trailer", "x-end");
            let connection = Client::connect(world.public).await;
            let (response, mut stream) = connection.begin(request.body(()).unwrap()).await;
            stream.send_data(Bytes::from_static(b"a"), false).unwrap();
            stream.send_data(Bytes::from_static(b"bc"), false).unwrap();
            let end = HeaderMap::from_iter([("x-end".parse().unwrap(), "yes".parse().unwrap())]);
            stream.send_trailers(end).unwrap();
            let got = Answer::of(response).await.unwrap();
            let trailers = got.trailers.iter().flatten();
            let trailers = trailers.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
            Got { status: got.head.status.as_u16(), text: got.text(), trailers: trailers.collect() }
        }
    }
}

#[tokio::test]
async fn bodies_trailers_and_heads_pass_both_ways() {
    for (client, upstream) in PAIRINGS {
        let backend = telling(upstream).await;
        let world = World::speaking(upstream, backend.address()).await;
        let told = "POST /orders?x=%2F to store.localhost\n".to_owned();
        let told =
            told + match (client, upstream) {
                (_, Http1) => "cookie: a=1; b=2\nte: trailers\nconnection: te\n",
                (Http1, Http2) => "cookie: a=1; b=2\nte: trailers\n",
                (Http2, Http2) => "cookie: a=1\ncookie: b=2\nte: trailers\n",
            } + "abc\nx-end: yes";
        let expected = Got { status: 200, text: told, trailers: vec!["x-sum: 3".to_owned()] };
        for _ in 0..2 {
            assert_eq!(post(client, &world).await, expected, "{client:?} to {upstream:?}");
        }
        assert_eq!(backend.connections(), 1, "{client:?} to {upstream:?}");
        assert_eq!(world.upstreams.in_flight(&instance("order", 1)), 0);
    }
}

/// Answers without content, as far as the method and the path say so.
async fn contentless(protocol: UpstreamProtocol) -> Instance {
    let answer_of = |head: &str| match head {
        head if head.starts_with("HEAD") => (200, Some(("content-length", "7"))),
        head if head.contains("/204") => (204, None),
        _ => (304, Some(("etag", "\"x\""))),
    };
    match protocol {
        Http1 => Instance::One(
            Backend::new(move |mut wire, _| async move {
                while let Some(request) = wire.read().await {
                    let (status, header) = answer_of(&request.head);
                    let line = header.map(|(name, value)| format!("{name}: {value}\r\n")).unwrap_or_default();
                    wire.write(format!("HTTP/1.1 {status} X\r\n{line}\r\n")).await;
                }
            })
            .await,
        ),
        Http2 => Instance::Two(
            Streams::new(move |mut asked| async move {
                let (status, header) = answer_of(&format!("{} {}", asked.head.method(), asked.head.uri()));
                let mut answer = http::Response::builder().status(status);
                if let Some((name, value)) = header {
                    answer = answer.header(name, value);
                }
                asked.respond.send_response(answer.body(()).unwrap(), true).unwrap();
            })
            .await,
        ),
    }
}

#[tokio::test]
async fn answers_without_content_stay_without_it() {
    let asked = [
        (Method::HEAD, "/orders", 200),
        (Method::GET, "/orders/204", 204),
        (Method::GET, "/orders/304", 304),
    ];
    for (client, upstream) in PAIRINGS {
        let backend = contentless(upstream).await;
        let world = World::speaking(upstream, backend.address()).await;
        let (mut wire, streams) = (Wire::connect(world.public).await, Client::connect(world.public).await);
        // The next answer would be misread if one had content.
        for (method, path, status) in asked.iter().chain(&asked) {
            let (found, length) = match client {
                Http1 => {
                    wire.write(format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
                    let got = wire.read_head().await.unwrap();
                    (got.status(), got.header("content-length").map(str::to_owned))
                }
                Http2 => {
                    let request = Request::builder().method(method).uri(format!("http://a{path}"));
                    let got = streams.ask(request.body(()).unwrap()).await.unwrap();
                    assert_eq!(got.body, b"");
                    let length = got.head.headers.get("content-length");
                    (got.head.status.as_u16(), length.map(|length| length.to_str().unwrap().to_owned()))
                }
            };
            let expected = (*status, (method == Method::HEAD).then(|| "7".to_owned()));
            assert_eq!((found, length), expected, "{client:?} to {upstream:?}: {method} {path}");
        }
        assert_eq!(backend.connections(), 1);
    }
}
