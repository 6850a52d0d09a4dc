//! What an instance says, and what a client may get of it.

use super::recorder::FINE;
use super::run::world;
use crate::gateway::tests::wire::{Message, Wire};

const FRAMING: &str = "RFC 9112, section 6.3";
const FIELD: &str = "RFC 9112, section 5";
const CONTENT: &str = "RFC 9110, section 6.4.1";

/// Answers that are no answers: the client hears 502, and the connection to the instance is not
/// used again.
async fn bad(source: &str, answers: impl IntoIterator<Item = &'static [u8]>) {
    let (world, recorder) = world().await;
    let mut failures = Vec::new();
    for answer in answers {
        recorder.say(answer);
        let mut wire = Wire::connect(world.public).await;
        wire.write("GET /orders HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let found = wire.read().await.expect("an answer");
        if (found.status(), found.header("content-type")) != (502, Some("application/problem+json")) {
            failures.push(format!("{source}: {:?} became\n{}", String::from_utf8_lossy(answer), found.head));
        }
        wire.write("GET /orders/proof HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(
            wire.read().await.unwrap().text(),
            "fine",
            "{source}: after {:?}",
            String::from_utf8_lossy(answer)
        );
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn a_malformed_answer_is_a_bad_gateway() {
    bad(
        FIELD,
        [
            b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n".as_slice(),
            b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: a\r\n folded\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX Y: a\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n",
            b"ICY 200 OK\r\nContent-Length: 0\r\n\r\n",
            b"<html>no head at all</html>\r\n\r\n",
        ],
    )
    .await;
    bad(FRAMING, [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".as_slice(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nab",
        // Taking `chunked` away and the rest of the codings with it would be a lie about the content.
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ])
    .await;
    bad(
        "RFC 9110, section 15.2.2",
        [
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
                .as_slice(),
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        ],
    )
    .await;
}

/// What a client gets for a request line like this when the instance says that.
async fn got(request_line: &str, answer: &[u8]) -> Message {
    let (world, recorder) = world().await;
    recorder.say(answer);
    let mut wire = Wire::connect(world.public).await;
    wire.write(format!("{request_line} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    let bodyless = request_line.starts_with("HEAD");
    let mut found = if bodyless { wire.read_head().await } else { wire.read().await }.unwrap();
    while found.status() < 200 {
        found = wire.read().await.unwrap();
    }
    // Whatever came with the answer, what comes next is the next answer.
    wire.write("GET /orders/proof HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(wire.read().await.unwrap().text(), "fine", "{}", String::from_utf8_lossy(answer));
    found
}

#[tokio::test]
async fn an_answer_without_content_has_none_whatever_the_instance_sends() {
    let hidden = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhidden";
    let length = format!("Content-Length: {}\r\n", hidden.len());
    for (request, head) in [
        ("HEAD /orders", format!("HTTP/1.1 200 OK\r\n{length}\r\n")),
        ("HEAD /orders", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned()),
        ("GET /orders", format!("HTTP/1.1 304 Not Modified\r\n{length}\r\n")),
        ("GET /orders", "HTTP/1.1 204 No Content\r\n\r\n".to_owned()),
        ("GET /orders", format!("HTTP/1.1 204 No Content\r\n{length}\r\n")),
        ("GET /orders", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned()),
    ] {
        let answer = [head.as_bytes(), hidden].concat();
        let (world, recorder) = world().await;
        recorder.say(&answer);
        let mut wire = Wire::connect(world.public).await;
        wire.write(format!("{request} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let found = wire.read_head().await.unwrap();
        assert_eq!(found.status().to_string(), head.split(' ').nth(1).unwrap(), "{CONTENT}");
        let is_empty = head.contains("204");
        assert!(
            !is_empty || (found.header("content-length"), found.header("transfer-encoding")) == (None, None),
            "{}",
            found.head
        );
        wire.write("GET /orders/proof HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(wire.read().await.unwrap().text(), "fine", "{CONTENT}: {head}");
    }
}

#[tokio::test]
async fn what_stands_behind_an_answer_is_nobodys_answer() {
    let behind = [FINE, b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhidden"].concat();
    assert_eq!(got("GET /orders", &behind).await.text(), "fine");
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhidden";
    assert_eq!(got("GET /orders", chunked).await.text(), "fine");
}

#[tokio::test]
async fn an_answer_is_framed_anew() {
    let chunked = got("GET /orders", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n").await;
    assert_eq!((chunked.text().as_str(), chunked.header("content-length")), ("abc", None), "{FRAMING}");
    let closed = got("GET /orders", b"HTTP/1.0 200 OK\r\nX: 1\r\n\r\nuntil the end").await;
    assert_eq!((closed.text().as_str(), closed.header("x")), ("until the end", Some("1")));
    let equal =
        got("GET /orders", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc").await;
    // RFC 9112, section 6.3: equal lengths may be taken for one, which then is handed on.
    assert_eq!((equal.text().as_str(), equal.headers("content-length").len()), ("abc", 1));
}

#[tokio::test]
async fn an_answer_before_the_answer_is_no_answer() {
    let (world, recorder) = world().await;
    recorder.say(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    let mut wire = Wire::connect(world.public).await;
    wire.write("GET /orders HTTP/1.1\r\nHost: a\r\n\r\n").await;
    for status in [103, 102, 200] {
        assert_eq!(wire.read().await.unwrap().status(), status, "RFC 9110, section 15.2");
    }
    let unasked =
        got("GET /orders", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")
            .await;
    assert_eq!((unasked.status(), unasked.text().as_str()), (200, "fine"));
}

#[tokio::test]
async fn any_status_and_any_reason_pass() {
    for (line, status) in
        [("299 Odd", 299), ("418 I'm a teapot", 418), ("599", 599), ("200", 200), ("999 Far", 999)]
    {
        let answer =
            got("GET /orders", format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await;
        assert_eq!(answer.status(), status, "RFC 9110, section 15");
    }
}
