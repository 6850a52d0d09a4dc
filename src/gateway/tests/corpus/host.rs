//! Which host a request is for (RFC 9110, section 7.2; RFC 9112, section 3.2).

use super::row::{declined, refused, served};
use super::run::{check, whole, world};
use crate::gateway::tests::wire::Wire;

const SOURCE: &str = "RFC 9112, section 3.2";

#[tokio::test]
async fn there_is_exactly_one_host_and_it_is_well_formed() {
    let none = ["", "Host: a\r\nHost: a\r\n", "Host: a\r\nHost: b\r\n", "Host: a\r\nhOST: a\r\n"];
    check(none.map(|lines| {
        refused(SOURCE, "the number of hosts", format!("GET /orders HTTP/1.1\r\n{lines}\r\n"), 400)
            .code("host_invalid")
    }))
    .await;
    let bad = [
        "",
        " ",
        "a b",
        "a,b",
        "user@a",
        "user:password@a",
        "a/b",
        "a\\b",
        "a?b",
        "a#b",
        "http://a",
        "a:",
        ":80",
        "a:80:80",
        "a:x",
        "a:-1",
        "a:65536",
        "a:99999",
        "a:080808",
        "[::1",
        "::1]",
        "::1",
        "[::1]x",
        "[::1]:x",
        "[]",
        "[g::1]",
        "[::1%25eth0]",
        "a%2eb",
        "\u{e4}",
        "a\"b",
        "<a>",
        "{a}",
        "a^b",
        "a|b",
        "a`b",
        ".",
        "..",
        ".a",
        "a..b",
        "*",
        "a;b",
        "a=b",
        "a&b",
        "$a",
        "(a)",
        "a'b",
        "a+b",
        "a!b",
        "[a]b",
        "a]",
        "a[0]",
    ];
    check(bad.map(|host| {
        refused(SOURCE, "a host", format!("GET /orders HTTP/1.1\r\nHost: {host}\r\n\r\n"), 400)
            .code("host_invalid")
    }))
    .await;
    let good = [
        "a",
        "A",
        "a.",
        "a.b.",
        "a:0",
        "a:80",
        "a:65535",
        "127.0.0.1",
        "127.0.0.1:8080",
        "[::1]",
        "[::1]:8080",
        "[::ffff:127.0.0.1]:1",
        "xn--bcher-kva.example",
        "a_b",
        "a-b",
        "a~b",
        "1",
        "STORE.LOCALHOST",
        "store.localhost.:80",
    ];
    check(good.map(|host| {
        served(
            SOURCE,
            "a host",
            format!("GET /orders HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            "GET /orders HTTP/1.1\n",
        )
    }))
    .await;
}

/// The host that the instance hears of.
async fn told(request: &str) -> String {
    let (world, recorder) = world().await;
    let answer = world.send(request).await;
    assert_eq!(answer.status(), 200, "{request} {}", answer.text());
    let seen = recorder.take();
    let request = whole(&seen)[0].clone();
    assert_eq!(request.headers("x-forwarded-host"), request.headers("host"));
    request.headers("host").join(" and ")
}

#[tokio::test]
async fn the_request_line_wins_over_the_header() {
    assert_eq!(
        told("GET /orders HTTP/1.1\r\nHost: Order.Store.localhost:81\r\n\r\n").await,
        "Order.Store.localhost:81"
    );
    assert_eq!(
        told("GET http://order.store.localhost/orders HTTP/1.1\r\nHost: b\r\n\r\n").await,
        "order.store.localhost"
    );
    assert_eq!(
        told("GET http://order.store.localhost:81/orders HTTP/1.1\r\nHost: order.store.localhost\r\n\r\n")
            .await,
        "order.store.localhost:81"
    );
    // HTTP/1.0 need not name a host, unless the request line does.
    assert_eq!(told("GET http://a/orders HTTP/1.0\r\n\r\n").await, "a");
    let other = "GET http://nobody.store.localhost/orders HTTP/1.1\r\nHost: order.store.localhost\r\n\r\n";
    check([
        declined(SOURCE, "the header is no way around the request line", other, (404, "host_not_found")),
        refused(SOURCE, "absolute-form needs Host, too", "GET http://a/orders HTTP/1.1\r\n\r\n", 400)
            .code("host_invalid"),
        refused(
            SOURCE,
            "absolute-form with a bad Host",
            "GET http://a/orders HTTP/1.1\r\nHost: b c\r\n\r\n",
            400,
        )
        .code("host_invalid"),
        refused(
            SOURCE,
            "absolute-form with two",
            "GET http://a/orders HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            400,
        )
        .code("host_invalid"),
    ])
    .await;
}

#[tokio::test]
async fn a_target_is_a_path_or_a_url_of_ours() {
    let bad = [
        "http:///orders",
        "http://",
        "http:/orders",
        "http://user@a/orders",
        "http://user:x@169.254.169.254/orders",
        "http://a b/orders",
        "http://a:99999/orders",
        "ftp://a/orders",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "a:80",
        "orders",
        "*",
        "?x",
        "../orders",
        "%2forders",
    ];
    check(
        bad.map(|target| {
            refused(SOURCE, "a target", format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), 400)
        }),
    )
    .await;
    check([
        declined(
            "RFC 9110, section 9.3.6",
            "CONNECT",
            "CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: a\r\n\r\n",
            (501, "connect_unsupported"),
        )
        .then(super::row::Then::Either),
        served(
            SOURCE,
            "absolute-form with a query and no path",
            "GET http://a?x HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /?x HTTP/1.1\n",
        ),
        served(
            SOURCE,
            "absolute-form without a path",
            "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\n",
        ),
        served(
            SOURCE,
            "a scheme in capitals",
            "GET HTTP://a/orders HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /orders HTTP/1.1\n",
        ),
        refused(
            "RFC 9110, section 9.3.7",
            "OPTIONS of the server itself",
            "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
            400,
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_name_of_the_inside_is_no_door_to_it() {
    let (world, _recorder) = world().await;
    for host in [
        "msctl.store.internal",
        "product.store.internal",
        "169.254.169.254",
        "localhost",
        "127.0.0.1",
        "[::1]",
    ] {
        let mut wire = Wire::connect(world.public).await;
        wire.write(format!("GET /.well-known/jwks.json HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        let answer = wire.read().await.unwrap();
        // The platform's own handlers answer with their name; here the route of `/` does.
        assert_eq!(answer.text(), "fine", "{host}");
    }
}
