//! What concerns one connection stays on it (RFC 9110, section 7.6.1), in both directions.

use super::row::{get, post, served};
use super::run::{check, whole, world};
use crate::gateway::tests::wire::Wire;

const SOURCE: &str = "RFC 9110, section 7.6.1";

#[tokio::test]
async fn a_request_loses_what_concerns_its_connection() {
    let plain = "GET /orders HTTP/1.1\n";
    let gone = [
        "Connection: keep-alive",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "TE: deflate;q=0.5",
        "Upgrade: websocket",
        "Upgrade: h2c",
        "Proxy-Authorization: Basic YTpi",
        "Proxy-Authenticate: Basic",
        "Connection: x-gone\r\nX-Gone: 1",
        "Connection: X-Gone, x-other\r\nx-gone: 1\r\nX-Other: 2",
        "X-Gone: 1\r\nConnection: x-gone\r\nConnection: keep-alive",
        "Connection: keep-alive ,\t X-Gone ,,\r\nX-Gone: 1",
        "Connection: nonsense/with/slashes",
        "Connection: ,,,",
        "Connection:",
        "HTTP2-Settings: AAMAAABk\r\nConnection: HTTP2-Settings",
        "Connection: x-gone\r\nX-Gone: 1\r\nX-Gone: 2",
        "Connection: upgrade\r\nUpgrade: nonsense",
    ];
    check(gone.map(|lines| served(SOURCE, "a line", get("/orders", &format!("{lines}\r\n")), plain))).await;
}

/// The gateway takes trailers itself and says so for its own connection (RFC 9110, section 10.1.4).
#[tokio::test]
async fn of_te_only_trailers_are_said_anew() {
    let seen = "GET /orders HTTP/1.1\nconnection: te\nte: trailers\n";
    check([
        served(SOURCE, "trailers", get("/orders", "Connection: TE\r\nTE: trailers\r\n"), seen),
        served(SOURCE, "among others", get("/orders", "TE: trailers, deflate;q=0.5\r\n"), seen),
    ])
    .await;
}

#[tokio::test]
async fn connection_takes_out_nothing_that_others_rely_on() {
    let all = "Connection: authorization, cookie, host, content-type, content-length, x-request-id, x-forwarded-for, x-forwarded-host, x-forwarded-proto, x-user-id, transfer-encoding, trailer, x-msctl-hops\r\n";
    let sends = post(
        &format!(
            "{all}Authorization: Bearer ann.r\r\nCookie: a=b\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n"
        ),
        "abc",
    );
    let (world, recorder) = world().await;
    let mut wire = Wire::connect(world.public).await;
    wire.write(sends).await;
    assert_eq!(wire.read().await.unwrap().status(), 200);
    let seen = recorder.take();
    let request = whole(&seen)[0].clone();
    for name in [
        "authorization",
        "cookie",
        "host",
        "content-type",
        "content-length",
        "x-request-id",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-user-id",
    ] {
        assert_eq!(request.headers(name).len(), 1, "{name}\n{}", request.head);
    }
    assert!(request.headers("connection").is_empty());
    assert_eq!(request.body, b"abc");
}

#[tokio::test]
async fn an_answer_loses_what_concerns_its_connection() {
    let (world, recorder) = world().await;
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x-gone, set-cookie, content-length, content-type, keep-alive\r\nX-Gone: 1\r\nKeep-Alive: timeout=5\r\n\
        Proxy-Authenticate: Basic\r\nProxy-Connection: close\r\nUpgrade: h2c\r\nTE: trailers\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Type: text/plain\r\nX-Kept: 1\r\n\r\nok";
    recorder.say(answer.as_bytes());
    let answer = world.get("/orders", "").await;
    for gone in
        ["connection", "x-gone", "keep-alive", "proxy-authenticate", "proxy-connection", "upgrade", "te"]
    {
        assert_eq!(answer.header(gone), None, "{gone}");
    }
    assert_eq!(answer.headers("set-cookie"), ["a=b", "c=d"]);
    assert_eq!(
        (answer.header("content-type"), answer.header("x-kept"), answer.text().as_str()),
        (Some("text/plain"), Some("1"), "ok")
    );
}

#[tokio::test]
async fn an_instance_cannot_close_the_clients_connection() {
    let (world, recorder) = world().await;
    let mut wire = Wire::connect(world.public).await;
    for _ in 0..2 {
        recorder.say(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfine");
        wire.write(get("/orders", "")).await;
        assert_eq!(wire.read().await.unwrap().text(), "fine");
    }
    assert_eq!(recorder.backend.connections(), 2);
}

#[tokio::test]
async fn other_headers_pass_as_they_are() {
    let kept = "accept: */*\r\naccept-encoding: gzip, br\r\nrange: bytes=0-1\r\nif-none-match: \"x\"\r\ncookie: a=b\r\nvia: 1.1 other\r\nmax-forwards: 3\r\nx_custom: 1\r\nx-custom: a, b\r\nx-custom: c\r\nreferer: http://x/\r\nuser-agent: x\r\ncache-control: no-store\r\n";
    let seen = format!("GET /orders HTTP/1.1\n{}", kept.replace("\r\n", "\n"));
    check([served("RFC 9110, section 5.1", "end-to-end headers", get("/orders", kept), &seen)]).await;
    let (world, recorder) = world().await;
    let value = [b"GET /orders HTTP/1.1\r\nHost: a\r\nX: \xe9\xff\t\"\\\r\n\r\n".as_slice()].concat();
    let mut wire = Wire::connect(world.public).await;
    wire.write(value).await;
    assert_eq!(wire.read().await.unwrap().status(), 200);
    assert_eq!(whole(&recorder.take()).len(), 1);
}
