//! Requests over HTTP/2 that are malformed (RFC 9113, section 8): most of them are attempts to write
//! a second request into the HTTP/1.1 that instances speak.

use super::frames::{Client, DATA, END_HEADERS, END_STREAM, HEADERS, Outcome, block};
use super::run::{whole, world};

type Field = (&'static [u8], &'static [u8]);

const GET: [Field; 4] =
    [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/orders")];

/// A GET with one of its fields replaced, or left out.
fn with(name: &'static str, value: Option<&'static [u8]>) -> Vec<Field> {
    let replaced =
        |field: Field| (field.0 != name.as_bytes()).then_some(field).or(value.map(|value| (field.0, value)));
    GET.into_iter().filter_map(replaced).collect()
}

/// A GET with more fields.
fn and(fields: &[Field]) -> Vec<Field> {
    [&GET, fields].concat()
}

/// None of these requests reaches an instance, and nobody else is harmed by them.
async fn check_refused(source: &str, requests: impl IntoIterator<Item = Vec<Field>>) {
    let (world, recorder) = world().await;
    for request in requests {
        let mut client = Client::connect(world.public, &[]).await;
        client.request(1, END_STREAM, &request).await;
        let outcome = client.outcome(1).await;
        let shown: Vec<_> = request
            .iter()
            .map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii()))
            .collect();
        assert!(!matches!(outcome, Outcome::Status(..400 | 500..)), "{source} {shown:?} {outcome:?}");
        assert!(recorder.take().is_empty(), "{source} {shown:?} reached the instance");
    }
    assert_eq!(world.get("/orders", "").await.status(), 200);
}

#[tokio::test]
async fn no_field_writes_a_second_line() {
    let bad: [&[u8]; 7] = [
        b"a\r\nX-User-Id: root",
        b"a\nX: b",
        b"a\rb",
        b"a\0b",
        b"a\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\n",
        b"a\x7f",
    ];
    check_refused("RFC 9113, section 8.2.1", bad.map(|value| and(&[(b"x", value)]))).await;
    let bad: [&[u8]; 9] = [b"X", b"x y", b"x:", b"x\r\ny", b"", b"x\0", b"x: a\r\ny", b"\x80", b"(x)"];
    check_refused("RFC 9113, section 8.2.1", bad.map(|name| and(&[(name, b"a")]))).await;
    let bad: [&[u8]; 6] =
        [b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\nGET", b"GET\r\n", b"GE T", b"", b"G\0T", b"GET /admin"];
    check_refused("RFC 9113, section 8.3.1", bad.map(|method| with(":method", Some(method)))).await;
    let bad: [&[u8]; 9] = [
        b"/orders HTTP/1.1\r\nX: a\r\n\r\n",
        b"/orders\r\n",
        b"/or ders",
        b"/orders\0",
        b"",
        b"orders",
        b"*",
        b"/..",
        b"/orders/..%2fadmin",
    ];
    check_refused("RFC 9113, section 8.3.1", bad.map(|path| with(":path", Some(path)))).await;
    let bad: [&[u8]; 8] = [b"a\r\nX: b", b"a b", b"user@a", b"a/b", b"a:99999", b"a\0", b"a..b", b"[::1"];
    check_refused("RFC 9113, section 8.3.1", bad.map(|authority| with(":authority", Some(authority)))).await;
}

#[tokio::test]
async fn pseudo_fields_are_there_once_and_first() {
    check_refused(
        "RFC 9113, section 8.3",
        [
            with(":method", None),
            with(":path", None),
            with(":scheme", None),
            with(":authority", None),
            and(&[(b":path", b"/admin")]),
            and(&[(b":method", b"POST")]),
            and(&[(b":authority", b"b")]),
            and(&[(b":status", b"200")]),
            and(&[(b":unknown", b"x")]),
            [&[(&b"x"[..], &b"a"[..])][..], &GET].concat(),
            and(&[(b"host", b"b")]),
            and(&[(b"host", b"a"), (b"host", b"a")]),
            with(":scheme", Some(b"ftp")),
            with(":scheme", Some(b"http\r\nX: a")),
            // Only CONNECT has a protocol (RFC 8441, section 4).
            and(&[(b":protocol", b"websocket")]),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_belongs_to_a_connection_of_http_1_is_refused() {
    check_refused(
        "RFC 9113, section 8.2.2",
        [
            and(&[(b"connection", b"close")]),
            and(&[(b"connection", b"upgrade"), (b"upgrade", b"websocket")]),
            and(&[(b"keep-alive", b"timeout=5")]),
            and(&[(b"proxy-connection", b"keep-alive")]),
            and(&[(b"transfer-encoding", b"chunked")]),
            and(&[(b"upgrade", b"h2c")]),
            and(&[(b"te", b"gzip")]),
            and(&[(b"te", b"trailers, deflate")]),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_length_is_what_the_frames_come_to() {
    check_refused(
        "RFC 9113, section 8.1.1",
        [
            and(&[(b"content-length", b"3")]),
            and(&[(b"content-length", b"+0")]),
            and(&[(b"content-length", b"0x0")]),
            and(&[(b"content-length", b"99999999999999999999")]),
            and(&[(b"content-length", b"0"), (b"content-length", b"1")]),
        ],
    )
    .await;
    let (world, recorder) = world().await;
    for (length, data) in [("3", "abcd"), ("3", "ab"), ("0", "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n")] {
        let mut client = Client::connect(world.public, &[]).await;
        client
            .request(
                1,
                0,
                &[&with(":method", Some(b"POST"))[..], &[(b"content-length", length.as_bytes())]].concat(),
            )
            .await;
        client.send(DATA, END_STREAM, 1, data.as_bytes()).await;
        let outcome = client.outcome(1).await;
        assert!(!matches!(outcome, Outcome::Status(..400)), "{length} {data}: {outcome:?}");
        world.get("/orders/fence", "").await;
        let seen = recorder.take();
        let requests = whole(&seen);
        assert_eq!(requests.len(), 1, "{length} {data}: {seen:?}");
        assert!(requests[0].head.starts_with("GET /orders/fence "));
    }
}

#[tokio::test]
async fn a_cookie_in_pieces_reaches_the_instance_whole() {
    let (world, recorder) = world().await;
    let mut client = Client::connect(world.public, &[]).await;
    client
        .request(
            1,
            END_STREAM,
            &and(&[
                (b"cookie", b"a=b"),
                (b"cookie", b"c=d"),
                (b"x-user-id", b"root"),
                (b"x_user_id", b"root"),
                (b"te", b"trailers"),
            ]),
        )
        .await;
    assert_eq!(client.outcome(1).await, Outcome::Status(200));
    assert_eq!(
        whole(&recorder.take())[0].plain(),
        "GET /orders HTTP/1.1\nconnection: te\ncookie: a=b; c=d\nte: trailers\n",
        "RFC 9113, section 8.2.3"
    );
}

#[tokio::test]
async fn a_body_is_chunked_for_the_instance_and_its_trailers_are_looked_at() {
    let (world, recorder) = world().await;
    let mut client = Client::connect(world.public, &[]).await;
    client
        .request(1, 0, &[&with(":method", Some(b"POST"))[..], &[(b"trailer", b"x-sum, x-user-id")]].concat())
        .await;
    // Empty frames say nothing, least of all the end.
    for data in ["", "abc", "", ""] {
        client.send(DATA, 0, 1, data.as_bytes()).await;
    }
    client
        .send(
            HEADERS,
            END_HEADERS | END_STREAM,
            1,
            &block(&[(b"x-sum", b"1"), (b"x-user-id", b"root"), (b"content-length", b"9")]),
        )
        .await;
    assert_eq!(client.outcome(1).await, Outcome::Status(200));
    let seen = recorder.take();
    let plain = whole(&seen)[0].plain();
    assert!(plain.ends_with("\n3\nabc\n0\nx-sum: 1\n\n") && !plain.contains("root"), "{plain}");
}

#[tokio::test]
async fn a_path_over_http_2_is_under_the_same_rules() {
    let (world, recorder) = world().await;
    for (path, status) in [
        (&b"/private"[..], 401),
        (b"/orders/../private", 401),
        (b"/%70rivate", 401),
        (b"//private", 400),
        (b"/private;x", 400),
        // A fragment is no part of a target; it is dropped before anything is matched.
        (b"/private#/../orders", 401),
        (b"/x%00", 400),
    ] {
        let mut client = Client::connect(world.public, &[]).await;
        client.request(1, END_STREAM, &with(":path", Some(path))).await;
        assert_eq!(client.outcome(1).await, Outcome::Status(status), "{}", path.escape_ascii());
        // One bad request does not end the others of its connection.
        client.request(3, END_STREAM, &GET).await;
        assert_eq!(client.outcome(3).await, Outcome::Status(200));
        assert_eq!(whole(&recorder.take()).len(), 1);
    }
}
