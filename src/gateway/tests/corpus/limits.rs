//! Every size and every wait has an end, and the status says which it was.

use std::time::Duration;

use super::row::{Reaches, Row, Then, declined, get, post, refused, served};
use super::run::{check, check_in, recorded};
use crate::gateway::Limits;
use crate::gateway::tests::harness::World;
use crate::gateway::tests::wire::Wire;
use crate::model::traffic::RoutePolicy;

const URI: &str = "RFC 9110, section 15.5.15";
const FIELDS: &str = "RFC 6585, section 5";
const CONTENT: &str = "RFC 9110, section 15.5.14";
const TIME: &str = "RFC 9110, section 15.5.9";

#[tokio::test]
async fn a_head_is_bounded_in_length_and_in_lines() {
    let xs = |count: usize| "x".repeat(count);
    let fields = |count: usize| (0..count).map(|n| format!("X{n}: 1\r\n")).collect::<Vec<_>>().concat();
    let either = |row: Row| row.then(Then::Either);
    check([
        served(
            URI,
            "just short enough",
            get(&format!("/{}", xs(8_191)), ""),
            &format!("GET /{} HTTP/1.1\n", xs(8_191)),
        ),
        either(
            refused(URI, "a byte too long", get(&format!("/{}", xs(8_192)), ""), 414).code("uri_too_long"),
        ),
        either(
            refused(URI, "with its query", get(&format!("/orders?{}", xs(8_200)), ""), 414)
                .code("uri_too_long"),
        ),
        either(
            refused(FIELDS, "one long value", get("/orders", &format!("X: {}\r\n", xs(33_000))), 431)
                .code("headers_too_large"),
        ),
        either(refused(
            FIELDS,
            "many short ones",
            get("/orders", &format!("{}X: {}\r\n", fields(90), xs(32_100))),
            431,
        )),
        refused(FIELDS, "one long name", get("/orders", &format!("{}: 1\r\n", xs(33_000))), 431)
            .then(Then::Either),
        refused(FIELDS, "longer than the buffer", get("/orders", &format!("X: {}\r\n", xs(100_000))), 431),
        refused(FIELDS, "without end", format!("GET /orders HTTP/1.1\r\nHost: a\r\nX: {}", xs(100_000)), 431),
        refused(FIELDS, "more than a hundred", get("/orders", &fields(100)), 431).then(Then::Either),
        refused(FIELDS, "lots", get("/orders", &fields(5_000)), 431).then(Then::Either),
        served(
            FIELDS,
            "just few enough",
            get("/orders", &fields(99)),
            &format!("GET /orders HTTP/1.1\n{}", fields(99).to_lowercase().replace("\r\n", "\n")),
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_target_that_fills_the_buffer_is_a_target_too_long() {
    let xs = "x".repeat(100_000);
    check([
        refused(URI, "longer than the buffer", get(&format!("/{xs}"), ""), 414),
        refused(URI, "without end", format!("GET /{xs}"), 414),
    ])
    .await;
}

#[tokio::test]
async fn a_body_is_bounded_as_declared_and_as_counted() {
    let policy = RoutePolicy { max_body: "1kB".parse().unwrap(), ..RoutePolicy::default() };
    let world = recorded(World::with_policy(&policy).await).await;
    let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500));
    let chunked = "Transfer-Encoding: chunked\r\n";
    let too_large = |row: Row| row.code("body_too_large");
    check_in(
        world,
        &[
            served(
                CONTENT,
                "just short enough",
                post("Content-Length: 1000\r\n", &"x".repeat(1000)),
                &format!("POST /orders HTTP/1.1\ncontent-length: 1000\n\n{}", "x".repeat(1000)),
            ),
            too_large(refused(CONTENT, "a byte too long", post("Content-Length: 1001\r\n", ""), 413)),
            too_large(refused(
                CONTENT,
                "much too long",
                post("Content-Length: 9223372036854775807\r\n", ""),
                413,
            )),
            // RFC 9112, section 6.2, wants numbers refused that do not fit, and leaves open with which
            // status; hyper takes this one for part of the head and says 431.
            refused(
                CONTENT,
                "longer than numbers go",
                post("Content-Length: 18446744073709551615\r\n", ""),
                431,
            ),
            too_large(refused(
                CONTENT,
                "too long and sent",
                post("Content-Length: 1001\r\n", &"x".repeat(1001)),
                413,
            )),
            too_large(
                refused(
                    CONTENT,
                    "one byte too much in chunks",
                    post(chunked, &format!("{chunk}{chunk}1\r\nx\r\n0\r\n\r\n")),
                    413,
                )
                .unfinished(),
            ),
            too_large(
                refused(CONTENT, "one chunk as long as it likes", post(chunked, "7fffffffffffffff\r\n"), 413)
                    .unfinished()
                    .then(Then::Closed),
            )
            .and_sent(&"x".repeat(1001)),
        ],
    )
    .await;
}

impl Row {
    fn and_sent(mut self, more: &str) -> Self {
        self.sends.extend_from_slice(more.as_bytes());
        self
    }
}

#[tokio::test]
async fn whoever_is_slow_is_not_waited_for() {
    let limits = || Limits {
        header_read: Duration::from_millis(60),
        upload_idle: Duration::from_millis(60),
        client_idle: Duration::from_millis(60),
        ..Limits::default()
    };
    let silent = |mut row: Row| {
        row.answers.clear();
        row
    };
    let body = declined(TIME, "half a body", post("Content-Length: 10\r\n", "abc"), (408, "body_timeout"));
    let chunk = declined(
        TIME,
        "half a chunk",
        post("Transfer-Encoding: chunked\r\n", "5\r\nabc"),
        (408, "body_timeout"),
    );
    let size =
        declined(TIME, "half a size", post("Transfer-Encoding: chunked\r\n", "5"), (408, "body_timeout"));
    let whole = served(TIME, "and nothing more", get("/orders", ""), "GET /orders HTTP/1.1\n");
    check_in(
        recorded(World::with_limits(limits()).await).await,
        &[
            silent(refused(TIME, "nothing", "", 0)),
            silent(refused(TIME, "half a line", "GET /ord", 0)),
            silent(refused(TIME, "half a head", "GET /orders HTTP/1.1\r\nHost: a\r\nX: ", 0)),
            silent(refused(TIME, "half of the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nS", 0)),
            Row { reaches: Reaches::Unfinished, ..body.then(Then::Closed) },
            Row { reaches: Reaches::Unfinished, ..chunk.then(Then::Closed) },
            Row { reaches: Reaches::Unfinished, ..size.then(Then::Closed) },
            whole.then(Then::Closed),
        ],
    )
    .await;
}

/// A byte now and then is progress, but a head has to be there in time all the same.
#[tokio::test]
async fn a_head_that_trickles_is_cut_off() {
    let limits = Limits { header_read: Duration::from_millis(150), ..Limits::default() };
    let (world, recorder) = recorded(World::with_limits(limits).await).await;
    let mut wire = Wire::connect(world.public).await;
    let trickle = async {
        loop {
            use tokio::io::AsyncWriteExt;
            if wire.stream.write_all(b"x").await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::gateway::tests::wire::PATIENCE, trickle)
        .await
        .expect("the connection is closed");
    assert!(recorder.take().is_empty());
}
