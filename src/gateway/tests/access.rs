//! What the access log says about a request.

use serde_json::{Value, json};

use super::backend::{Backend, ok};
use super::harness::{World, instance, send};
use super::wire::Wire;
use crate::model::catalog::EndpointState::{Ready, Starting};
use crate::model::traffic::{RoutePolicy, Timeouts};
use std::time::Duration;

/// The given fields of a line.
fn fields(line: &Value, expected: &Value) -> Value {
    let names = expected.as_object().unwrap().keys();
    names.map(|name| (name.clone(), line[name].clone())).collect::<serde_json::Map<_, _>>().into()
}

fn check(line: &Value, expected: &Value) {
    assert_eq!(fields(line, expected), *expected, "{line}");
}

#[tokio::test]
async fn a_line_says_who_asked_whom_for_what_and_how_it_went() {
    let backend = Backend::named("12345").await;
    let world = World::serving(backend.address).await;
    let answer = world.get("/orders/7?secret=1", "Authorization: Bearer ann\r\n").await;
    let line = world.log.about("/orders/7").await;
    check(
        &line,
        &json!({
            "id": answer.header("x-request-id"),
            "door": "public",
            "client": "127.0.0.1",
            "method": "GET",
            "host": "store.localhost",
            "path": "/orders/7",
            "route": "/orders",
            "service": "order",
            "instance": "order.v1.1",
            "generation": 1,
            "status": 200,
            "flag": null,
            "code": null,
            "bytes_in": 0,
            "bytes_out": 5,
            "attempts": 1,
            "subject": "ann",
            "caller": null,
        }),
    );
    let at = humantime::parse_rfc3339(line["ts"].as_str().unwrap()).unwrap();
    assert!(at.elapsed().is_ok_and(|passed| passed < Duration::from_secs(10)), "{line}");
    let millis = |name: &str| line[name].as_f64().unwrap();
    assert!(
        millis("connect_ms") <= millis("upstream_ms") && millis("upstream_ms") <= millis("total_ms"),
        "{line}"
    );
    let text = line.to_string();
    assert!(!text.contains("secret") && !text.contains("Bearer"), "{line}");
}

#[tokio::test]
async fn a_kept_connection_takes_no_time_to_open() {
    let backend = Backend::named("a").await;
    let world = World::serving(backend.address).await;
    world.get("/orders/1", "").await;
    world.get("/orders/2", "").await;
    assert!(world.log.about("/orders/1").await["connect_ms"].is_number());
    check(&world.log.about("/orders/2").await, &json!({"connect_ms": null, "attempts": 1}));
}

#[tokio::test]
async fn a_request_body_is_counted() {
    let backend = Backend::echo().await;
    let world = World::serving(backend.address).await;
    let body = "x".repeat(3000);
    world.send(&format!("POST /orders/up HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n{body}")).await;
    check(&world.log.about("/orders/up").await, &json!({"bytes_in": 3000, "status": 200}));
}

#[tokio::test]
async fn a_request_on_a_stale_connection_is_tried_twice_and_noted_once() {
    // Each connection answers once and closes with the second request.
    let backend = Backend::new(|mut wire, _| async move {
        wire.read().await;
        wire.write(ok("a")).await;
        wire.read().await;
    })
    .await;
    let world = World::serving(backend.address).await;
    world.get("/orders/1", "").await;
    assert_eq!(world.get("/orders/2", "").await.status(), 200);
    check(&world.log.about("/orders/2").await, &json!({"attempts": 2, "status": 200, "flag": null}));
    assert_eq!(world.log.lines().len(), 2);
}

#[tokio::test]
async fn the_flag_says_why_the_gateway_answered_itself() {
    let silent = Backend::new(|mut wire, _| async move {
        wire.read().await;
        std::future::pending::<()>().await;
    })
    .await;
    let rude = Backend::new(|mut wire, _| async move {
        wire.read().await;
    })
    .await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let timeouts = Timeouts { response: Duration::from_millis(50), ..Timeouts::default() };
    let mut world = World::with_policy(&RoutePolicy { timeouts, ..RoutePolicy::default() }).await;
    world.set("product", &[(1, closed, Starting)]);
    let check = async |world: &World, request: &str, status: u16, flag: &str, code: &str| {
        let path = request.split(' ').nth(1).unwrap();
        world.send(&format!("{request} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        check(&world.log.about(path).await, &json!({"status": status, "flag": flag, "code": code}));
    };
    check(&world, "GET /products/1", 503, "UH", "no_ready_instance").await;
    check(&world, "GET /private", 401, "UA", "token_missing").await;
    check(&world, "DELETE /admin", 405, "NR", "method_not_allowed").await;
    check(&world, "GET /a%2fb", 400, "DPE", "path_invalid").await;
    world.set("order", &[(1, closed, Ready)]);
    check(&world, "GET /orders/closed", 502, "UF", "upstream_unreachable").await;
    world.set("order", &[(1, rude.address, Ready)]);
    check(&world, "GET /orders/rude", 502, "UR", "upstream_broken").await;
    world.set("order", &[(1, silent.address, Ready)]);
    check(&world, "GET /orders/silent", 504, "UT", "upstream_timeout").await;
}

#[tokio::test]
async fn an_instance_that_breaks_off_is_told_from_a_client_that_goes() {
    let half = Backend::new(|mut wire, _| async move {
        wire.read().await;
        wire.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await;
    })
    .await;
    let world = World::serving(half.address).await;
    let mut client = Wire::connect(world.public).await;
    client.write("GET /orders/half HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.read_to_end().await;
    check(&world.log.about("/orders/half").await, &json!({"status": 200, "flag": "UC", "bytes_out": 4}));

    let mut leaving = Wire::connect(world.public).await;
    leaving.write("POST /orders/left HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc").await;
    while world.upstreams.in_flight(&instance("order", 1)) == 0 {
        tokio::task::yield_now().await;
    }
    drop(leaving);
    check(&world.log.about("/orders/left").await, &json!({"flag": "DC"}));
}

#[tokio::test]
async fn calls_and_the_platforms_own_handlers_are_noted_with_their_caller() {
    let backend = Backend::named("a").await;
    let mut world = World::new().await;
    world.set("product", &[(1, backend.address, Ready)]);
    send(world.link, "GET /any HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let expected = json!({"door": "link", "route": "calls", "service": "product", "caller": "order"});
    check(&world.log.about("/any").await, &expected);
    world.get("/auth/x", "").await;
    check(&world.log.about("/auth/x").await, &json!({"route": null, "service": "msctl", "status": 200}));
}

#[tokio::test]
async fn what_a_client_sends_cannot_forge_a_line() {
    let world = World::new().await;
    world.get("/\"},{\"a\":\"b", "").await;
    let line = world.log.about("/\"},{\"a\":\"b").await;
    check(&line, &json!({"a": null, "status": 503}));
}
