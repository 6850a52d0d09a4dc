//! Who the instance is told the caller is, and who gets in.

use super::backend::Backend;
use super::harness::World;
use super::wire::Message;

async fn world() -> (World, Backend) {
    let backend = Backend::echo().await;
    (World::serving(backend.address).await, backend)
}

/// The request as the instance got it.
fn received(answer: &Message) -> Message {
    assert_eq!(answer.status(), 200, "{}", answer.text());
    Message { head: answer.text(), body: Vec::new() }
}

#[tokio::test]
async fn no_client_says_who_it_is_on_any_route() {
    let (world, _backend) = world().await;
    let forged = "X-User-Id: root\r\nx_user_id: root\r\nX-User_Scopes: root\r\nX-AUTH-USER: root\r\nX_Scopes: root\r\n\
        X-Caller-Service: root\r\nX_Caller_Service: root\r\nX-Service-Token: root\r\nX-User: root\r\n";
    for path in ["/orders", "/private", "/stripped/deep", "/order/health/live"] {
        let answer = world.get(path, &format!("{forged}Authorization: Bearer ann.r.w\r\n")).await;
        let request = received(&answer);
        assert!(!request.head.contains("root"), "{}", request.head);
        assert_eq!(request.headers("x-user-id"), ["ann"]);
        assert_eq!(request.headers("x-user-scopes"), ["r w"]);
        assert_eq!(request.headers("authorization"), ["Bearer ann.r.w"]);
        let anonymous = world.get("/orders", forged).await;
        assert!(!received(&anonymous).head.contains("root"));
    }
}

#[tokio::test]
async fn connection_cannot_take_out_what_the_gateway_says() {
    let (world, _backend) = world().await;
    let lines = "Connection: keep-alive, x-user-id, x-user-scopes, x-forwarded-for, authorization, cookie, host, x-request-id, x-gone\r\n\
        Authorization: Bearer ann.r\r\nCookie: a=b\r\nX-Gone: 1\r\nKeep-Alive: 5\r\nTE: gzip, trailers\r\nProxy-Authorization: x\r\n";
    let request = received(&world.get("/orders", lines).await);
    for (name, value) in [
        ("x-user-id", "ann"),
        ("x-user-scopes", "r"),
        ("x-forwarded-for", "127.0.0.1"),
        ("authorization", "Bearer ann.r"),
        ("cookie", "a=b"),
        ("host", "store.localhost"),
        ("connection", "te"),
        ("te", "trailers"),
    ] {
        assert_eq!(request.headers(name), [value], "{name}");
    }
    assert_eq!(request.headers("x-request-id").len(), 1);
    for gone in ["keep-alive", "proxy-authorization", "x-gone"] {
        assert!(request.headers(gone).is_empty(), "{gone}");
    }
}

#[tokio::test]
async fn where_a_request_came_from_is_said_by_the_gateway_alone() {
    let (world, _backend) = world().await;
    let lines = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nX_Forwarded_Host: evil\r\nX-Forwarded-Proto: https\r\n\
        X-Forwarded-Port: 1\r\nX-Forwarded-Prefix: /evil\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n";
    let request = received(&world.get("/stripped/deep/x", lines).await);
    assert!(!request.head.contains("6.6.6.6") && !request.head.contains("evil"), "{}", request.head);
    assert_eq!(request.headers("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(request.headers("x-forwarded-proto"), ["http"]);
    assert_eq!(request.headers("x-forwarded-host"), ["store.localhost"]);
    assert_eq!(request.headers("x-forwarded-prefix"), ["/stripped/deep"]);
    assert_eq!(request.headers("x-forwarded-port"), ["80"]);
    assert_eq!(request.headers("x-real-ip"), ["127.0.0.1"]);
}

#[tokio::test]
async fn the_request_id_is_ours_and_the_same_everywhere() {
    let (world, _backend) = world().await;
    let answer = world.get("/orders", "X-Request-Id: mine\r\n").await;
    let id = answer.header("x-request-id").unwrap();
    assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 7);
    assert_eq!(received(&answer).headers("x-request-id"), [id]);
    let refused = world.get("/private", "").await;
    assert_eq!(refused.problem("request_id"), refused.header("x-request-id").unwrap());
}

async fn check(lines: &str, path: &str, expected: &str) {
    let (world, backend) = world().await;
    let answer = world.get(path, lines).await;
    let challenge = answer.header("www-authenticate").unwrap_or("-");
    assert_eq!(format!("{} {challenge}", answer.status()), expected, "{path} {lines:?}");
    assert_eq!(backend.connections(), usize::from(answer.status() == 200));
}

#[tokio::test]
async fn each_refusal_says_what_is_missing() {
    check("", "/private", "401 Bearer").await;
    check("Authorization: Basic YTpi\r\n", "/private", "401 Bearer").await;
    let expired = "401 Bearer error=\"invalid_token\", error_description=\"the token has expired\"";
    check("Authorization: Bearer old\r\n", "/private", expired).await;
    check("Authorization: Bearer ann\r\n", "/private", "200 -").await;
    check("Authorization: Bearer old\r\n", "/orders", "200 -").await;
    let insufficient = "403 Bearer error=\"insufficient_scope\", scope=\"orders:admin\"";
    check("Authorization: Bearer ann.orders:read\r\n", "/admin", insufficient).await;
    check("Authorization: Bearer ann.orders:admin\r\n", "/admin", "200 -").await;
    let several = "401 Bearer error=\"invalid_request\"";
    check("Authorization: Bearer ann\r\nAuthorization: Bearer bob\r\n", "/private", several).await;
}

#[tokio::test]
async fn a_browser_may_bring_its_token_in_a_cookie_but_not_for_another_site() {
    check("Cookie: a=b; access_token=ann\r\n", "/private", "200 -").await;
    check("Cookie: access_token=ann\r\nSec-Fetch-Site: same-origin\r\n", "/private", "200 -").await;
    check("Cookie: access_token=ann\r\nSec-Fetch-Site: cross-site\r\n", "/private", "401 Bearer").await;
    check("Cookie: access_token=ann\r\nOrigin: http://evil.example\r\n", "/private", "401 Bearer").await;
    let beside = "Cookie: access_token=ann\r\nSec-Fetch-Site: same-site\r\n";
    check(beside, "/private", "200 -").await;
    check(&format!("{beside}Origin: http://store.localhost:3000\r\n"), "/private", "401 Bearer").await;
    let several = "401 Bearer error=\"invalid_request\"";
    check("Cookie: access_token=ann; access_token=bob\r\n", "/private", several).await;
}
