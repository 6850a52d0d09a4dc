//! Methods, expectations and versions.

use super::row::{Then, declined, get, post, refused, served};
use super::run::{check, whole, world};
use crate::gateway::tests::wire::Wire;

const METHODS: &str = "RFC 9110, section 9";
const EXPECT: &str = "RFC 9110, section 10.1.1";
const OLD: &str = "RFC 9112, section 9.3";

#[tokio::test]
async fn a_method_is_a_token_in_its_own_case() {
    let passed = [
        "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "BREW", "get", "Get", "X-Y", "PURGE",
    ];
    check(passed.map(|method| {
        // A method that expects content says that there is none (RFC 9110, section 8.6).
        let lines = if matches!(method, "POST" | "PUT" | "PATCH") { "content-length: 0\n" } else { "" };
        let sends = format!("{method} /orders HTTP/1.1\r\nHost: a\r\n{}\r\n", lines.replace('\n', "\r\n"));
        served(METHODS, "a method", sends, &format!("{method} /orders HTTP/1.1\n{lines}"))
    }))
    .await;
    check([
        declined(
            METHODS,
            "lower case is another method",
            "get /admin HTTP/1.1\r\nHost: a\r\n\r\n",
            (405, "method_not_allowed"),
        ),
        declined(
            METHODS,
            "TRACE reflects nothing",
            "TRACE /orders HTTP/1.1\r\nHost: a\r\nCookie: secret\r\n\r\n",
            (405, "method_not_allowed"),
        ),
        declined(
            METHODS,
            "CONNECT to a path",
            "CONNECT /orders HTTP/1.1\r\nHost: a\r\n\r\n",
            (501, "connect_unsupported"),
        )
        .then(Then::Either),
        declined(
            METHODS,
            "CONNECT to a host",
            "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
            (501, "connect_unsupported"),
        )
        .then(Then::Either),
        served(METHODS, "HEAD", "HEAD /orders HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD /orders HTTP/1.1\n")
            .then(Then::Kept),
        declined(
            METHODS,
            "HEAD where GET needs a token",
            "HEAD /admin HTTP/1.1\r\nHost: a\r\n\r\n",
            (401, "token_missing"),
        )
        .status_only(),
        refused(METHODS, "a method that is no token", "GE:T /orders HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ])
    .await;
}

impl super::row::Row {
    /// An answer to HEAD has no document.
    fn status_only(mut self) -> Self {
        self.answers[0].1 = None;
        self
    }
}

#[tokio::test]
async fn content_is_not_asked_for_before_the_caller_is_let_in() {
    let lines = "Expect: 100-continue\r\nContent-Length: 3\r\n";
    let (world, recorder) = world().await;
    for (target, status) in [("/private", 401), ("/%", 400), ("/nobody", 405)] {
        let mut wire = Wire::connect(world.public).await;
        wire.write(format!("POST {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n")).await;
        assert_eq!(wire.read().await.unwrap().status(), status, "{EXPECT} {target}");
        assert!(recorder.take().is_empty());
    }
    let mut wire = Wire::connect(world.public).await;
    wire.write(post(lines, "")).await;
    assert_eq!(wire.read_head().await.unwrap().status(), 100);
    wire.write("abc").await;
    assert_eq!(wire.read().await.unwrap().status(), 200);
    assert_eq!(whole(&recorder.take())[0].body, b"abc");
    check([
        served(
            EXPECT,
            "content that comes unasked",
            post("Content-Length: 3\r\n", "abc"),
            "POST /orders HTTP/1.1\ncontent-length: 3\n\nabc",
        ),
        // A server MAY answer 417; one that does not know the word may also go on.
        served(
            EXPECT,
            "nothing to wait for",
            get("/orders", "Expect: 100-continue\r\n"),
            "GET /orders HTTP/1.1\nexpect: 100-continue\n",
        ),
    ])
    .await;
}

#[tokio::test]
async fn an_old_client_is_served_in_its_own_way() {
    let old = |lines: &str| format!("GET /orders HTTP/1.0\r\nHost: a\r\n{lines}\r\n");
    let plain = "GET /orders HTTP/1.1\n";
    check([
        served(OLD, "one request a connection", old(""), plain).then(Then::Closed),
        served(OLD, "unless it asks for more", old("Connection: keep-alive\r\n"), plain),
        served(OLD, "close wins", old("Connection: keep-alive, close\r\n"), plain).then(Then::Closed),
        served(OLD, "close in HTTP/1.1", get("/orders", "Connection: close\r\n"), plain).then(Then::Closed),
        served(OLD, "close among others", get("/orders", "Connection: x, CLOSE\r\n"), plain)
            .then(Then::Closed),
        served(
            OLD,
            "nothing after close",
            get("/orders", "Connection: close\r\n") + &get("/orders/2", ""),
            plain,
        )
        .then(Then::Closed),
        refused(OLD, "without any host", "GET /orders HTTP/1.0\r\n\r\n", 400).code("host_invalid"),
        served(
            OLD,
            "a body with a length",
            "POST /orders HTTP/1.0\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
            "POST /orders HTTP/1.1\ncontent-length: 3\n\nabc",
        )
        .then(Then::Closed),
    ])
    .await;
}

#[tokio::test]
async fn an_old_client_gets_no_chunks() {
    let (world, recorder) = world().await;
    recorder.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    let mut wire = Wire::connect(world.public).await;
    wire.write("GET /orders HTTP/1.0\r\nHost: a\r\n\r\n").await;
    let head = wire.read_head().await.unwrap();
    assert_eq!((head.status(), head.header("transfer-encoding")), (200, None), "{}", head.head);
    assert_eq!(wire.read_to_end().await, b"abcde");
}
