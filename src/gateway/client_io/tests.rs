//! Informational responses, over a real socket and hyper's own server.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::gateway::access_log::Observer;
use crate::gateway::connections::{Connections, Guest};

/// More than the system takes without anybody reading it.
const LARGE: usize = 64 << 20;

/// Says what is asked for by the path, then answers when it may.
async fn answer(activity: &Arc<Activity>, may: &Notify, request: Request<Incoming>) -> Response<Full<Bytes>> {
    activity.hears(request.version());
    let _busy = activity.begin();
    let hints = request.uri().path().len() - 1;
    // From elsewhere, as the task of an upstream connection would.
    let told = Arc::clone(activity);
    let telling = tokio::spawn(async move {
        for number in 0..hints {
            let mut headers = HeaderMap::new();
            headers.insert("link", number.into());
            told.send_informational(StatusCode::EARLY_HINTS, &headers);
        }
    });
    telling.await.unwrap();
    if request.headers().contains_key("wait") {
        may.notified().await;
    }
    activity.answers().await;
    let mut late = HeaderMap::new();
    late.insert("link", "late".parse().unwrap());
    activity.send_informational(StatusCode::EARLY_HINTS, &late);
    let body =
        if request.headers().contains_key("large") { Bytes::from(vec![0; LARGE]) } else { "ok".into() };
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert("date", "x".parse().unwrap());
    response
}

fn origin() -> Origin {
    let observer = Arc::new(Observer { metrics: Arc::default(), log: None });
    Origin { observer, door: "public", client: [127, 0, 0, 1].into() }
}

async fn serve(may: Arc<Notify>) -> TcpStream {
    serve_within(Limits::default(), may).await.0
}

/// The task ends with the connection.
async fn serve_within(limits: Limits, may: Arc<Notify>) -> (TcpStream, JoinHandle<hyper::Result<()>>) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(socket.local_addr().unwrap()).await.unwrap();
    let stream = ClientStream::Clear(socket.accept().await.unwrap().0);
    let activity = Arc::new(Activity::ending_with(CancellationToken::new()));
    let limits = Arc::new(limits);
    let place = Arc::<Connections>::default().admit(Guest::Inside, &activity, &limits).unwrap();
    let io = TokioIo::new(ClientIo::new(stream, Arc::clone(&activity), limits, origin(), place));
    let serving = tokio::spawn(async move {
        let service = service_fn(move |request| {
            let (activity, may) = (Arc::clone(&activity), Arc::clone(&may));
            async move { Ok::<_, Infallible>(answer(&activity, &may, request).await) }
        });
        hyper::server::conn::http1::Builder::new().serve_connection(io, service).await
    });
    (client, serving)
}

const FINAL: &str = "HTTP/1.1 200 OK\r\ndate: x\r\ncontent-length: 2\r\n\r\nok";

fn hint(number: usize) -> String {
    format!("HTTP/1.1 103 Early Hints\r\nlink: {number}\r\n\r\n")
}

async fn expect(client: &mut TcpStream, expected: &str) {
    let mut read = vec![0; expected.len()];
    let reading = client.read_exact(&mut read);
    tokio::time::timeout(std::time::Duration::from_secs(5), reading).await.expect("bytes in time").unwrap();
    assert_eq!(String::from_utf8_lossy(&read), expected);
}

#[tokio::test]
async fn informational_responses_go_out_before_the_final_one_and_none_after_it() {
    let mut client = serve(Arc::default()).await;
    for hints in [2, 0, 1] {
        client
            .write_all(format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(hints)).as_bytes())
            .await
            .unwrap();
        let expected: String = (0..hints).map(hint).chain([FINAL.to_owned()]).collect();
        expect(&mut client, &expected).await;
    }
}

#[tokio::test]
async fn an_informational_response_does_not_wait_for_the_final_one() {
    let may = Arc::<Notify>::default();
    let mut client = serve(Arc::clone(&may)).await;
    client.write_all(b"GET /x HTTP/1.1\r\nHost: a\r\nWait: 1\r\n\r\n").await.unwrap();
    expect(&mut client, &hint(0)).await;
    may.notify_one();
    expect(&mut client, FINAL).await;
}

#[tokio::test]
async fn pipelined_requests_keep_their_informational_responses_apart() {
    let mut client = serve(Arc::default()).await;
    let one = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
    client.write_all(one.repeat(3).as_bytes()).await.unwrap();
    expect(&mut client, &format!("{}{FINAL}", hint(0)).repeat(3)).await;
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_the_final_response_alone() {
    let mut client = serve(Arc::default()).await;
    client.write_all(b"GET /xx HTTP/1.0\r\n\r\n").await.unwrap();
    expect(&mut client, "HTTP/1.0 200 OK\r\n").await;
}

#[tokio::test]
async fn who_takes_nothing_of_the_last_answer_is_not_waited_for_for_ever() {
    let limits = Limits { client_idle: std::time::Duration::from_millis(100), ..Limits::default() };
    let (mut client, serving) = serve_within(limits, Arc::default()).await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nLarge: 1\r\nConnection: close\r\n\r\n").await.unwrap();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(5), serving).await.unwrap().unwrap();
    assert!(ended.is_err(), "{ended:?}");
}
