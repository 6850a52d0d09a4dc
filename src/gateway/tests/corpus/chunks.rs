//! Bodies in chunks (RFC 9112, section 7.1), and what stands behind them.

use super::row::{Row, Then, post, refused, served};
use super::run::check;

const SOURCE: &str = "RFC 9112, section 7.1";
const TRAILERS: &str = "RFC 9110, section 6.5.1";
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// A chunked body that has no end: the instance may have got its beginning, but no request.
fn broken(rule: &'static str, body: impl AsRef<[u8]>) -> Row {
    let sends = [post(CHUNKED, "").as_bytes(), body.as_ref()].concat();
    refused(SOURCE, rule, sends, 400).unfinished()
}

#[tokio::test]
async fn a_chunk_is_exactly_as_long_as_it_says() {
    check([
        broken("a size of no digits", "\r\nabc\r\n0\r\n\r\n"),
        broken("a size of letters", "zz\r\nabc\r\n0\r\n\r\n").code("body_malformed"),
        broken("a size with 0x", "0x3\r\nabc\r\n0\r\n\r\n"),
        broken("a size with a sign", "+3\r\nabc\r\n0\r\n\r\n"),
        broken("a negative size", "-3\r\nabc\r\n0\r\n\r\n"),
        broken("a size with an underscore", "0_3\r\nabc\r\n0\r\n\r\n"),
        broken("a space before the size", " 3\r\nabc\r\n0\r\n\r\n"),
        broken("a size of seventeen digits", "10000000000000003\r\nabc\r\n0\r\n\r\n"),
        broken("a size that overflows", "fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
        broken("a line feed alone after the size", "3\nabc\r\n0\r\n\r\n"),
        broken("a carriage return alone after the size", "3\rabc\r\n0\r\n\r\n"),
        broken("a comma in the size", "3,3\r\nabc\r\n0\r\n\r\n"),
        broken("too short a chunk", "5\r\nabc\r\n0\r\n\r\n"),
        broken("too long a chunk", "3\r\nabcdef\r\n0\r\n\r\n"),
        broken("no end of line after the data", "3\r\nabc0\r\n\r\n"),
        broken("a line feed alone after the data", "3\r\nabc\n0\r\n\r\n"),
        broken("two arbitrary bytes after the data", "3\r\nabcXX0\r\n\r\n"),
        broken("a NUL in the size", b"3\0\r\nabc\r\n0\r\n\r\n"),
    ])
    .await;
}

#[tokio::test]
async fn an_extension_is_dropped_and_hides_nothing() {
    let seen = "POST /orders HTTP/1.1\ntransfer-encoding: chunked\n\n3\nabc\n0\n\n";
    check([
        broken("a line feed in an extension", "3;a\nb\r\nabc\r\n0\r\n\r\n"),
        broken("a line feed after an extension", "3;a\nabc\r\n0\r\n\r\n"),
        broken("a line feed in a quoted value", "3;a=\"\n\"\r\nabc\r\n0\r\n\r\n"),
        broken("a carriage return in an extension", "3;a\rb\r\nabc\r\n0\r\n\r\n"),
        broken("an extension without end", format!("3;{}", "x".repeat(40_000))),
        broken("an extension of the last chunk with a line feed", "0;a\n\r\n\r\n"),
        served(SOURCE, "an extension", post(CHUNKED, "3;a=b\r\nabc\r\n0;last\r\n\r\n"), seen),
        served(SOURCE, "a quoted extension", post(CHUNKED, "3;a=\"b c\"\r\nabc\r\n0\r\n\r\n"), seen),
        served(SOURCE, "zeros before the size", post(CHUNKED, "0003\r\nabc\r\n000\r\n\r\n"), seen),
        served(
            SOURCE,
            "capitals in the size",
            post(CHUNKED, "A\r\n0123456789\r\n0\r\n\r\n"),
            "POST /orders HTTP/1.1\ntransfer-encoding: chunked\n\nA\n0123456789\n0\n\n",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_trailer_never_says_what_a_head_must() {
    let seen = "POST /orders HTTP/1.1\ntransfer-encoding: chunked\n\n0\n\n";
    for trailer in [
        "Content-Length: 5",
        "Host: evil",
        "Transfer-Encoding: chunked",
        "Authorization: Bearer root",
        "X-User-Id: root",
        "X_User_Id: root",
        "X-Forwarded-For: 6.6.6.6",
        "X-Request-Id: mine",
        "Connection: close",
        "X-Service-Token: root",
    ] {
        let (name, _) = trailer.split_once(':').unwrap();
        check([
            served(TRAILERS, "undeclared", post(CHUNKED, &format!("0\r\n{trailer}\r\n\r\n")), seen),
            served(
                TRAILERS,
                "declared",
                post(&format!("{CHUNKED}Trailer: {name}\r\n"), &format!("0\r\n{trailer}\r\n\r\n")),
                &format!("POST /orders HTTP/1.1\ntransfer-encoding: chunked\ntrailer: {name}\n\n0\n\n"),
            ),
        ])
        .await;
    }
    check([
        served(
            TRAILERS,
            "one that was announced passes",
            post(&format!("{CHUNKED}Trailer: x-sum\r\n"), "3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"),
            "POST /orders HTTP/1.1\ntransfer-encoding: chunked\ntrailer: x-sum\n\n3\nabc\n0\nx-sum: 1\n\n",
        ),
        broken("a trailer without colon", "0\r\nnonsense\r\n\r\n"),
        broken("a trailer with a space before the colon", "0\r\nX : a\r\n\r\n"),
        broken("a folded trailer", "0\r\nX: a\r\n b\r\n\r\n"),
        broken("a trailer with a NUL", b"0\r\nX: a\0\r\n\r\n"),
        broken("trailers without end", format!("0\r\n{}", "X: 1\r\n".repeat(8_000))),
    ])
    .await;
}

#[tokio::test]
async fn what_stands_behind_the_last_chunk_is_the_next_request() {
    let next = "GET /orders/next HTTP/1.1\r\nHost: a\r\n\r\n";
    let seen = "POST /orders HTTP/1.1\ntransfer-encoding: chunked\n\n0\n\n";
    check([
        served(SOURCE, "a request behind chunks", post(CHUNKED, "0\r\n\r\n") + next, seen)
            .and_served("GET /orders/next HTTP/1.1\n"),
        served(SOURCE, "garbage behind chunks", post(CHUNKED, "0\r\n\r\n") + "%%%\r\n\r\n", seen)
            .and_refused(400)
            .then(Then::Closed),
    ])
    .await;
}
