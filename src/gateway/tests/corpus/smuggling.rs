//! A request inside the body of another stays a body, whatever becomes of the outer one.

use super::row::{Row, Then, declined, get, post, refused, served};
use super::run::check;

const SOURCE: &str = "RFC 9112, section 11.2";
const HIDDEN: &str = "GET /admin/hidden HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x.orders:admin\r\n\r\n";

fn with_length(method: &str, target: &str, lines: &str) -> String {
    let length = HIDDEN.len();
    format!("{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{lines}\r\n{HIDDEN}")
}

fn body(head: &str) -> String {
    format!("{head}\ncontent-length: {}\n\n{}", HIDDEN.len(), HIDDEN.replace("\r\n", "\n"))
}

#[tokio::test]
async fn a_body_that_looks_like_a_request_is_a_body() {
    check([
        served(SOURCE, "of a POST", with_length("POST", "/orders", ""), &body("POST /orders HTTP/1.1")),
        served(SOURCE, "of a GET", with_length("GET", "/orders", ""), &body("GET /orders HTTP/1.1")),
        served(SOURCE, "of a DELETE", with_length("DELETE", "/orders", ""), &body("DELETE /orders HTTP/1.1")),
        served(
            SOURCE,
            "of a method that nobody knows",
            with_length("BREW", "/orders", ""),
            &body("BREW /orders HTTP/1.1"),
        ),
        served(
            SOURCE,
            "with a wish for h2c",
            with_length(
                "POST",
                "/orders",
                "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
            ),
            &body("POST /orders HTTP/1.1"),
        ),
    ])
    .await;
}

#[tokio::test]
async fn the_body_of_a_declined_request_is_never_a_request() {
    let either = |row: Row| row.then(Then::Either);
    check([
        either(declined(
            SOURCE,
            "without token",
            with_length("POST", "/private", ""),
            (401, "token_missing"),
        )),
        either(declined(
            SOURCE,
            "without route for the method",
            with_length("PUT", "/admin", ""),
            (405, "method_not_allowed"),
        )),
        either(declined(
            SOURCE,
            "of TRACE",
            with_length("TRACE", "/orders", ""),
            (405, "method_not_allowed"),
        )),
        either(declined(
            SOURCE,
            "of CONNECT",
            with_length("CONNECT", "a:80", ""),
            (501, "connect_unsupported"),
        )),
        refused(SOURCE, "with a bad path", with_length("POST", "/%", ""), 400).code("path_invalid"),
        refused(SOURCE, "with a bad host", with_length("POST", "/orders", "Host: b\r\n"), 400)
            .code("host_invalid"),
        refused(SOURCE, "with a second length", with_length("POST", "/orders", "Content-Length: 0\r\n"), 400),
        refused(
            SOURCE,
            "with a coding besides",
            with_length("POST", "/orders", "Transfer-Encoding: chunked\r\n"),
            400,
        ),
        refused(
            SOURCE,
            "with another coding besides",
            with_length("POST", "/orders", "Transfer-Encoding: x\r\n"),
            400,
        ),
        refused(
            SOURCE,
            "with a folded length",
            with_length("POST", "/orders", "X: \r\n Content-Length: 0\r\n"),
            400,
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_half_request_never_takes_up_the_next_one() {
    let announced = post("Content-Length: 10\r\n", "abc");
    let mut row = refused(SOURCE, "a body that is shorter than its length", announced, 0).unfinished();
    row.answers.clear();
    // The sender goes away: a length that was never reached must not look reached.
    let (world, recorder) = super::run::world().await;
    let mut wire = crate::gateway::tests::wire::Wire::connect(world.public).await;
    wire.write(&row.sends).await;
    drop(wire);
    tokio::time::timeout(crate::gateway::tests::wire::PATIENCE, recorder.wait()).await.unwrap();
    let seen = recorder.take();
    assert!(super::run::whole(&seen).is_empty(), "{seen:?}");
    assert_eq!(world.get("/orders", "").await.status(), 200);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_and_each_by_its_own_rule() {
    check([
        served(
            SOURCE,
            "three in a row",
            get("/orders/1", "") + &get("/orders/2", "") + &get("/orders/3", ""),
            "GET /orders/1 HTTP/1.1\n",
        )
        .and_served("GET /orders/2 HTTP/1.1\n")
        .and_served("GET /orders/3 HTTP/1.1\n"),
        served(
            SOURCE,
            "a protected one behind an open one",
            get("/orders/1", "") + &get("/private", ""),
            "GET /orders/1 HTTP/1.1\n",
        )
        .and_refused(401),
        served(
            SOURCE,
            "a malformed one behind a good one",
            get("/orders/1", "") + &get("/orders/2", "X : y\r\n") + &get("/orders/3", ""),
            "GET /orders/1 HTTP/1.1\n",
        )
        .and_refused(400)
        .then(Then::Closed),
        served(
            SOURCE,
            "a bad host behind a good one",
            get("/orders/1", "") + &get("/orders/2", "Host: b\r\n") + &get("/orders/3", ""),
            "GET /orders/1 HTTP/1.1\n",
        )
        .and_refused(400)
        .then(Then::Closed),
    ])
    .await;
}
