//! The doors between services: who calls, and whom they may call.

use super::backend::Backend;
use super::harness::{World, send};
use super::wire::Message;
use crate::model::catalog::EndpointState::{Draining, Ready};

const ORDER: &str = "X-Service-Token: service:order\r\n";

async fn world() -> (World, Backend) {
    let backend = Backend::echo().await;
    let mut world = World::serving(backend.address).await;
    world.set("product", &[(1, backend.address, Ready)]);
    (world, backend)
}

async fn call(world: &World, host: &str, lines: &str) -> Message {
    send(world.internal, &format!("GET /any/path HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n")).await
}

#[tokio::test]
async fn a_declared_call_reaches_any_path_of_the_callee() {
    let (world, _backend) = world().await;
    for host in ["product.store.internal", "product.store.internal:7070"] {
        let answer =
            call(&world, host, &format!("{ORDER}X-Request-Id: from-order\r\nX-User-Id: root\r\n")).await;
        let text = answer.text();
        assert!(text.starts_with("GET /any/path HTTP/1.1\r\n"), "{text}");
        assert!(
            text.contains("x-caller-service: order\r\n") && text.contains("x-request-id: from-order\r\n")
        );
        assert!(!text.contains("root") && !text.contains("x-service-token"), "{text}");
    }
}

#[tokio::test]
async fn an_undeclared_call_says_which_line_would_allow_it() {
    let (world, backend) = world().await;
    let expected = "product may not call order: add \"order\" to services under [calls] in services/product/service.toml";
    let by_token = call(&world, "order.store.internal", "X-Service-Token: service:product\r\n").await;
    let by_link = send(world.undeclared_link, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await;
    for answer in [by_token, by_link] {
        assert_eq!((answer.status(), answer.problem("detail").as_str()), (403, expected));
    }
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn nobody_unknown_calls_a_service() {
    let (world, backend) = world().await;
    for (host, lines, expected) in [
        ("product.store.internal", "", "403 caller_unknown"),
        ("product.store.internal", "X-Caller-Service: order\r\n", "403 caller_unknown"),
        ("product.store.internal", "X-Service-Token: service:nobody\r\n", "403 caller_unknown"),
        ("product.store.internal", "X-Service-Token: ann\r\n", "401 token_rejected"),
        ("product.store.internal", "X-Service-Token: bad\r\n", "401 token_rejected"),
        ("nobody.store.internal", ORDER, "404 host_not_found"),
        ("product.store.localhost", ORDER, "404 host_not_found"),
        ("127.0.0.1", ORDER, "404 host_not_found"),
    ] {
        let answer = call(&world, host, lines).await;
        assert_eq!(format!("{} {}", answer.status(), answer.problem("code")), expected, "{host} {lines}");
    }
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn a_link_joins_its_two_services_whatever_the_host_says() {
    let (world, _backend) = world().await;
    for host in ["127.0.0.1:9", "order.store.internal", "anything"] {
        let answer = send(world.link, &format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert!(answer.text().contains("x-caller-service: order\r\n"), "{}", answer.text());
    }
    let contradiction = "GET /x HTTP/1.1\r\nHost: a\r\nX-Service-Token: service:product\r\n\r\n";
    assert_eq!(send(world.link, contradiction).await.status(), 403);
}

#[tokio::test]
async fn the_user_behind_a_call_is_verified_again() {
    let (world, _backend) = world().await;
    let answer =
        call(&world, "product.store.internal", &format!("{ORDER}Authorization: Bearer ann.r\r\n")).await;
    assert!(answer.text().contains("x-user-id: ann\r\n") && answer.text().contains("x-user-scopes: r\r\n"));
    let answer =
        call(&world, "product.store.internal", &format!("{ORDER}Authorization: Bearer bad\r\n")).await;
    assert_eq!(answer.status(), 401);
    let cookie =
        call(&world, "product.store.internal", &format!("{ORDER}Cookie: access_token=ann\r\n")).await;
    assert!(!cookie.text().contains("x-user-id"));
}

#[tokio::test]
async fn the_platform_itself_answers_inside_by_name_and_by_door() {
    let (world, _backend) = world().await;
    let by_name = call(&world, "msctl.store.internal:7070", ORDER).await;
    assert!(by_name.text().starts_with("platform GET /any/path"), "{}", by_name.text());
    assert!(by_name.text().contains("x-caller-service: order\r\n"));
    let by_door =
        send(world.platform_door, "GET /x HTTP/1.1\r\nHost: 127.0.0.1:1\r\nX-Caller-Service: order\r\n\r\n")
            .await;
    assert!(by_door.text().starts_with("platform GET /x"), "{}", by_door.text());
    assert!(!by_door.text().contains("x-caller-service"));
}

#[test]
fn an_address_names_its_service_in_any_state_unless_it_is_shared() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut world = World::new().await;
        let at = |text: &str| text.parse().unwrap();
        world.set(
            "order",
            &[
                (1, at("10.0.0.1:80"), Draining),
                (2, at("10.0.0.3:80"), Ready),
                (3, at("127.0.0.1:80"), Ready),
            ],
        );
        world.set("product", &[(1, at("10.0.0.2:80"), Ready), (2, at("10.0.0.3:81"), Ready)]);
        let table = world.table();
        let owner = |ip: &str| table.caller_at(ip.parse().unwrap()).map(ToString::to_string);
        assert_eq!(owner("10.0.0.1").as_deref(), Some("order"));
        assert_eq!(owner("::ffff:10.0.0.1").as_deref(), Some("order"));
        assert_eq!(owner("10.0.0.2").as_deref(), Some("product"));
        assert_eq!(owner("10.0.0.3"), None);
        assert_eq!(owner("127.0.0.1"), None);
    });
}
