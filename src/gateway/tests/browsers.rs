//! What browsers need: pages instead of documents, other origins, redirects.

use super::backend::{Backend, ok};
use super::harness::World;
use super::wire::Message;
use crate::gateway::Limits;
use crate::model::catalog::EndpointState;
use crate::model::traffic::{Cors, Origins, Redirect, RoutePolicy};
use std::collections::BTreeSet;
use std::time::Duration;

const SHOP: &str = "https://shop.example";
const NAVIGATION: &str = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n";

async fn world(policy: &RoutePolicy, backend: &Backend) -> World {
    let mut world = World::with_policy(policy).await;
    world.set("order", &[(1, backend.address, EndpointState::Ready)]);
    world
}

fn for_shop() -> RoutePolicy {
    let set = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    let cors = Cors {
        origins: Origins::Only(set(&[SHOP])),
        headers: set(&["authorization"]),
        expose: set(&["x-total"]),
        credentials: true,
        max_age: Duration::from_secs(60),
    };
    RoutePolicy { cors: Some(cors), ..RoutePolicy::default() }
}

async fn preflight(world: &World, path: &str, origin: &str, method: &str) -> Message {
    let request = format!(
        "OPTIONS {path} HTTP/1.1\r\nHost: store.localhost\r\nOrigin: {origin}\r\n\
         Access-Control-Request-Method: {method}\r\nAccess-Control-Request-Headers: authorization\r\n\r\n"
    );
    world.send(&request).await
}

#[tokio::test]
async fn a_person_is_shown_a_page_and_a_program_a_document() {
    let world = World::new().await;
    let page = world.get("/private", NAVIGATION).await;
    assert_eq!(page.status(), 401);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert!(page.text().contains("<h1>401 Unauthorized</h1>"), "{}", page.text());
    assert!(page.text().contains(page.header("x-request-id").unwrap()));
    let document = world.get("/private", "Accept: */*\r\n").await;
    assert_eq!(document.problem("code"), "token_missing");
    assert_eq!(document.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_refusal_of_head_is_the_head_of_a_refusal() {
    let world = World::new().await;
    let mut wire = super::wire::Wire::connect(world.public).await;
    wire.write("HEAD /private HTTP/1.1\r\nHost: store.localhost\r\n\r\n").await;
    let head = wire.read_head().await.unwrap();
    assert_eq!(head.status(), 401);
    // The next answer follows at once: there was no body in between.
    wire.write("GET /none HTTP/1.1\r\nHost: order.store.localhost\r\nConnection: close\r\n\r\n").await;
    assert_eq!(wire.read_head().await.unwrap().status(), 503);
}

#[tokio::test]
async fn a_preflight_is_answered_by_the_gateway_before_it_asks_who_calls() {
    let backend = Backend::echo().await;
    let world = world(&for_shop(), &backend).await;
    let answer = preflight(&world, "/private", SHOP, "PUT").await;
    assert_eq!((answer.status(), answer.body.len()), (204, 0));
    assert_eq!(answer.header("access-control-allow-origin"), Some(SHOP));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("PUT"));
    assert_eq!(answer.header("access-control-allow-headers"), Some("authorization"));
    assert_eq!(answer.header("access-control-max-age"), Some("60"));
    let foreign = preflight(&world, "/private", "https://evil.example", "PUT").await;
    assert_eq!((foreign.status(), foreign.header("access-control-allow-origin")), (204, None));
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn a_preflight_for_a_method_that_no_route_takes_is_refused() {
    let backend = Backend::echo().await;
    let world = world(&for_shop(), &backend).await;
    let answer = preflight(&world, "/admin", SHOP, "PUT").await;
    assert_eq!(answer.status(), 405);
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn without_a_policy_the_service_answers_preflights_itself() {
    let backend = Backend::echo().await;
    let world = World::serving(backend.address).await;
    let answer = preflight(&world, "/orders", SHOP, "PUT").await;
    assert!(answer.text().starts_with("OPTIONS /orders "), "{}", answer.text());
}

#[tokio::test]
async fn pages_of_an_allowed_origin_may_read_answers_and_refusals() {
    let backend = Backend::new(|mut wire, _| async move {
        while wire.read().await.is_some() {
            let own = "Access-Control-Allow-Origin: *\r\nVary: Accept\r\nX-Total: 3\r\n";
            wire.write(ok("hello").replacen("\r\n", &format!("\r\n{own}"), 1)).await;
        }
    })
    .await;
    let world = world(&for_shop(), &backend).await;
    let origin = format!("Origin: {SHOP}\r\n");
    let answer = world.get("/orders", &origin).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers("access-control-allow-origin"), [SHOP]);
    assert_eq!(answer.header("access-control-expose-headers"), Some("x-total"));
    assert_eq!(answer.headers("vary"), ["Accept", "origin"]);
    let refusal = world.get("/private", &origin).await;
    assert_eq!(refusal.problem("code"), "token_missing");
    assert_eq!(refusal.header("access-control-allow-origin"), Some(SHOP));
    let foreign = world.get("/orders", "Origin: https://evil.example\r\n").await;
    assert_eq!((foreign.status(), foreign.header("access-control-allow-origin")), (200, None));
}

#[tokio::test]
async fn a_route_may_lead_elsewhere() {
    let backend = Backend::echo().await;
    let redirect = Redirect { to: "https://new.example/shop/*".to_owned(), status: 308 };
    let policy = RoutePolicy { redirect: Some(redirect), ..RoutePolicy::default() };
    let world = world(&policy, &backend).await;
    let answer = world.get("/orders/7?a=b", "").await;
    assert_eq!((answer.status(), answer.body.len()), (308, 0));
    assert_eq!(answer.header("location"), Some("https://new.example/shop/7?a=b"));
    assert_eq!(
        world.get("/orders//evil.example", "").await.header("location"),
        Some("https://new.example/shop/evil.example")
    );
    assert_eq!(world.get("/private", "").await.problem("code"), "token_missing");
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn a_service_need_not_see_the_token() {
    let backend = Backend::echo().await;
    let policy = RoutePolicy { forward_authorization: false, ..RoutePolicy::default() };
    let world = world(&policy, &backend).await;
    let answer = world.get("/private", "Authorization: Bearer ann\r\n").await;
    let request = Message { head: answer.text(), body: Vec::new() };
    assert_eq!(request.headers("x-user-id"), ["ann"]);
    assert!(request.headers("authorization").is_empty(), "{}", request.head);
    let answer = world.get("/private", "Cookie: theme=dark; access_token=ann\r\n").await;
    let request = Message { head: answer.text(), body: Vec::new() };
    assert_eq!(request.headers("x-user-id"), ["ann"]);
    assert_eq!(request.headers("cookie"), ["theme=dark"]);
}

/// With the harness itself as a trusted proxy.
async fn behind_a_proxy(backend: &Backend) -> World {
    let mut world = World::adapted(Limits::default(), |platform| {
        platform.gateway.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    world.set("order", &[(1, backend.address, EndpointState::Ready)]);
    world
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_and_continued() {
    let backend = Backend::echo().await;
    let world = behind_a_proxy(&backend).await;
    let lines = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n\
        X-Forwarded-Host: shop.example\r\nX-Forwarded-Port: 443\r\nX-Forwarded-Prefix: /shop\r\n\
        X-Real-IP: 203.0.113.9\r\nX-Request-Id: from-before\r\nX-User-Id: root\r\nX-Forwarded-User: root\r\n";
    let answer = world.get("/stripped/deep/x", lines).await;
    let request = Message { head: answer.text(), body: Vec::new() };
    assert_eq!(request.headers("x-forwarded-for"), ["6.6.6.6, 203.0.113.9, 127.0.0.1"]);
    assert_eq!(request.headers("x-forwarded-proto"), ["https"]);
    assert_eq!(request.headers("x-forwarded-host"), ["shop.example"]);
    assert_eq!(request.headers("x-forwarded-port"), ["443"]);
    assert_eq!(request.headers("x-forwarded-prefix"), ["/shop/stripped/deep"]);
    assert_eq!(request.headers("x-real-ip"), ["203.0.113.9"]);
    assert_eq!(request.headers("x-request-id"), ["from-before"]);
    assert_eq!(answer.header("x-request-id"), Some("from-before"));
    assert!(!request.head.contains("root"), "{}", request.head);
}

#[tokio::test]
async fn a_proxy_that_says_nothing_is_told_of_itself() {
    let backend = Backend::echo().await;
    let world = behind_a_proxy(&backend).await;
    let answer = world.get("/orders", "").await;
    let request = Message { head: answer.text(), body: Vec::new() };
    assert_eq!(request.headers("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(request.headers("x-forwarded-proto"), ["http"]);
    assert_eq!(request.headers("x-forwarded-host"), ["store.localhost"]);
    assert_eq!(request.headers("x-forwarded-port"), ["80"]);
    assert_eq!(request.headers("x-real-ip"), ["127.0.0.1"]);
}

#[tokio::test]
async fn of_what_is_said_twice_the_proxys_word_counts_which_is_the_last() {
    let backend = Backend::echo().await;
    let world = behind_a_proxy(&backend).await;
    let lines = "X-Forwarded-Proto: http\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\n\
        X-Forwarded-Host: shop.example\r\nX-Forwarded-Prefix: //evil.example\r\nX-Forwarded-Prefix: /shop\r\n\
        X-Real-IP: 6.6.6.6\r\nX-Real-IP: 203.0.113.9\r\nX-Forwarded-For: 203.0.113.9\r\n\
        Forwarded: for=6.6.6.6\r\nForwarded: for=203.0.113.9\r\n";
    let answer = world.get("/stripped/deep/x", lines).await;
    let request = Message { head: answer.text(), body: Vec::new() };
    for (name, value) in [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "shop.example"),
        ("x-forwarded-prefix", "/shop/stripped/deep"),
        ("x-real-ip", "203.0.113.9"),
        ("forwarded", "for=6.6.6.6, for=203.0.113.9"),
        // It said none, but by which scheme and name it was reached.
        ("x-forwarded-port", "443"),
    ] {
        assert_eq!(request.headers(name), [value], "{name}\n{}", request.head);
    }
}

#[tokio::test]
async fn nothing_of_one_connection_passes_to_the_other_in_an_answer() {
    let backend = Backend::new(|mut wire, _| async move {
        while wire.read().await.is_some() {
            let lines = "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\n\
                Proxy-Connection: keep-alive\r\nUpgrade: h2c\r\nServer: mine\r\nX-Powered-By: me\r\nTrailer: x-sum\r\n";
            wire.write(ok("hello").replacen("\r\n", &format!("\r\n{lines}"), 1)).await;
        }
    })
    .await;
    let world = World::serving(backend.address).await;
    let answer = world.get("/orders", "").await;
    for gone in ["connection", "x-hop", "keep-alive", "proxy-authenticate", "proxy-connection", "upgrade"] {
        assert_eq!(answer.header(gone), None, "{gone}: {}", answer.head);
    }
    for (name, value) in [("server", "mine"), ("x-powered-by", "me"), ("trailer", "x-sum")] {
        assert_eq!(answer.headers(name), [value], "{name}");
    }
}
