//! Where a message ends (RFC 9112, sections 2.2, 5 and 6).

use super::row::{Row, Then, get, post, refused, served};
use super::run::check;

const FIELD: &str = "RFC 9112, section 5";
const LINES: &str = "RFC 9112, section 2.2";
const LENGTH: &str = "RFC 9112, section 6.2";
const CODING: &str = "RFC 9112, section 6.1";

#[tokio::test]
async fn a_message_has_one_end() {
    let both = "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n";
    let other = "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n";
    check([
        refused(CODING, "length before coding", post(both, "0\r\n\r\nG"), 400).code("framing_ambiguous"),
        refused(CODING, "coding before length", post(other, "0\r\n\r\nG"), 400).code("framing_ambiguous"),
        refused(
            CODING,
            "length of nothing and coding",
            post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            400,
        ),
        refused(
            CODING,
            "in other cases",
            post("CONTENT-length: 6\r\ntRANSFER-eNCODING: chunked\r\n", "0\r\n\r\nG"),
            400,
        ),
        refused(LENGTH, "equal lengths", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), 400),
        refused(LENGTH, "different lengths", post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), 400),
        refused(LENGTH, "equal lengths in a list", post("Content-Length: 3, 3\r\n", "abc"), 400),
        refused(LENGTH, "different lengths in a list", post("Content-Length: 3, 4\r\n", "abcd"), 400),
        // RFC 9112, section 6.1, lets a server go by the coding alone if it closes afterwards.
        pipelined_with_both(both),
        pipelined_with_both(other),
    ])
    .await;
}

fn pipelined_with_both(lines: &str) -> Row {
    let hidden = "GET /orders/hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    let sends = get("/orders", "") + &post(lines, "0\r\n\r\n") + hidden;
    served(CODING, "both, behind another request", sends, "GET /orders HTTP/1.1\n")
        .and_refused(400)
        .then(Then::Closed)
}

#[tokio::test]
async fn a_length_is_digits_and_nothing_else() {
    let long = "0".repeat(300) + "3";
    let lengths = [
        "+3",
        "-3",
        "0x3",
        "3.0",
        "3e0",
        "3 3",
        "3;3",
        "\"3\"",
        "3,",
        ",3",
        "",
        " ",
        "three",
        "\u{663}",
        "18446744073709551616",
        "18446744073709551619",
        "99999999999999999999",
        "3\t4",
        "3_0",
    ];
    let bad = lengths.map(|length| {
        refused(LENGTH, "a length", post(&format!("Content-Length: {length}\r\n"), "abc"), 400)
    });
    check(bad).await;
    let seen = "POST /orders HTTP/1.1\ncontent-length: 3\n\nabc";
    check([
        served(LENGTH, "with spaces around", post("Content-Length:\t 3 \t\r\n", "abc"), seen),
        served(LENGTH, "without a space", post("Content-Length:3\r\n", "abc"), seen),
        served(
            LENGTH,
            "of nothing",
            post("Content-Length: 0\r\n", ""),
            "POST /orders HTTP/1.1\ncontent-length: 0\n",
        ),
        // `1*DIGIT`: zeros in front change nothing, and are not handed on.
        served(LENGTH, "with zeros in front", post("Content-Length: 03\r\n", "abc"), seen),
        served(LENGTH, "with many zeros in front", post(&format!("Content-Length: {long}\r\n"), "abc"), seen),
    ])
    .await;
}

#[tokio::test]
async fn chunked_is_the_only_coding() {
    let bad = [
        "gzip",
        "identity",
        "xchunked",
        "chunkedx",
        "chunked, gzip",
        "chunked, identity",
        "chunked, chunked",
        "gzip, chunked",
        "identity, chunked",
        "chunked;x=1",
        "\"chunked\"",
        "",
        ",",
        "chunk ed",
        "chunked\u{b}",
        "\u{b}chunked",
        "cow",
        "chunked, cow",
        "cow, chunked",
        "chun\u{212a}ed",
    ];
    check(bad.map(|coding| refused_coding(&format!("Transfer-Encoding: {coding}\r\n")))).await;
    check([
        refused_coding("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        refused_coding("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
        refused_coding("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"),
        refused_coding("Transfer-Encoding : chunked\r\n"),
        refused_coding(" Transfer-Encoding: chunked\r\n"),
        refused_coding("X: x\r\n Transfer-Encoding: chunked\r\n"),
        refused_coding("Transfer-Encoding:\r\n chunked\r\n"),
        refused_coding("X: x\nTransfer-Encoding\r\n: chunked\r\n"),
        refused(
            CODING,
            "in HTTP/1.0",
            "POST /orders HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
    ])
    .await;
    let seen = "POST /orders HTTP/1.1\ntransfer-encoding: chunked\n\n3\nabc\n0\n\n";
    let body = "3\r\nabc\r\n0\r\n\r\n";
    check([
        served(CODING, "in any case", post("Transfer-Encoding: CHUNKED\r\n", body), seen),
        served(CODING, "with spaces around", post("Transfer-Encoding: \t chunked \t\r\n", body), seen),
        // A name that only looks like it is another header.
        served(
            CODING,
            "with an underscore",
            post("Transfer_Encoding: chunked\r\nContent-Length: 3\r\n", "abc"),
            "POST /orders HTTP/1.1\ntransfer_encoding: chunked\ncontent-length: 3\n\nabc",
        ),
    ])
    .await;
}

fn refused_coding(lines: &str) -> Row {
    refused(CODING, "a coding", post(lines, "0\r\n\r\n"), 400)
}

#[tokio::test]
async fn a_head_is_lines_of_names_and_values() {
    let bad: [&[u8]; 22] = [
        b"X : a",
        b"X\t: a",
        b"X",
        b": a",
        b" X: a",
        b"X: a\r\n b",
        b"X: a\r\n\tb",
        b"X: a\0b",
        b"X\0: a",
        b"X: a\rb",
        b"X: \r",
        b"X\r: a",
        b"X: a\x01b",
        b"X: a\x7fb",
        b"X Y: a",
        b"X\xe9: a",
        b"X(: a",
        b"X,Y: a",
        b"X[]: a",
        b"\"X\": a",
        b"X@: a",
        b"\rX: a",
    ];
    check(bad.map(|line| {
        let sends = [b"GET /orders HTTP/1.1\r\nHost: a\r\n", line, b"\r\n\r\n"].concat();
        refused(FIELD, "a line", sends, 400)
    }))
    .await;
    // A recipient may take a line feed alone for the end of a line, so not everybody does.
    check([
        refused(LINES, "line feeds alone", "GET /orders HTTP/1.1\nHost: a\n\n", 400)
            .code("framing_ambiguous"),
        refused(LINES, "a line feed alone", get("/orders", "X: a\nY: b\r\n"), 400).code("framing_ambiguous"),
    ])
    .await;
    let plain = "GET /orders HTTP/1.1\n";
    check([
        served(LINES, "empty lines before it", format!("\r\n\r\n{}", get("/orders", "")), plain),
        served(FIELD, "no space after the colon", get("/orders", "X:a\r\n"), "GET /orders HTTP/1.1\nx: a\n"),
        served(
            FIELD,
            "spaces around a value",
            get("/orders", "X: \t a b \t \r\n"),
            "GET /orders HTTP/1.1\nx: a b\n",
        ),
        served(FIELD, "an empty value", get("/orders", "X:\r\n"), "GET /orders HTTP/1.1\nx:\n"),
        served(
            FIELD,
            "the same name twice, in order",
            get("/orders", "X: b\r\nX: a\r\n"),
            "GET /orders HTTP/1.1\nx: b\nx: a\n",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_request_line_has_three_parts() {
    let bad: [&[u8]; 19] = [
        b"GET /orders",
        b"GET  /orders HTTP/1.1",
        b"GET /orders  HTTP/1.1",
        b"GET /or ders HTTP/1.1",
        b" GET /orders HTTP/1.1",
        b"GET\t/orders\tHTTP/1.1",
        b"GET /orders HTTP/1.2",
        b"GET /orders HTTP/0.9",
        b"GET /orders HTTP/2.0",
        b"GET /orders HTTP/11",
        b"GET /orders http/1.1",
        b"GET /orders HTTP/1.1 x",
        b"GET /orders HTTP/1.1x",
        b"GET /orders\0 HTTP/1.1",
        b"GET /orders\x7f HTTP/1.1",
        b"G\0T /orders HTTP/1.1",
        b"G{T /orders HTTP/1.1",
        b"GET HTTP/1.1",
        b"GET /orders\r HTTP/1.1",
    ];
    check(
        bad.map(|line| {
            refused("RFC 9112, section 3", "a line", [line, b"\r\nHost: a\r\n\r\n"].concat(), 400)
        }),
    )
    .await;
    check([
        refused("RFC 9112, section 2.3", "HTTP/0.9", "GET /orders\r\n\r\n", 400),
        refused(
            "RFC 9113, section 3.4",
            "half of the preface of HTTP/2",
            "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
            400,
        ),
        refused(
            "RFC 8446",
            "a TLS handshake",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".as_slice(),
            400,
        ),
    ])
    .await;
}
