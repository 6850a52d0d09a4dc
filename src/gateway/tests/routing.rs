//! Which service a request reaches, with which path.

use super::backend::Backend;
use super::harness::{World, send};
use super::wire::Wire;
use crate::model::catalog::EndpointState::{Draining, Ready, Starting};

async fn check(world: &World, path: &str, expected: &str) {
    let answer = world.get(path, "").await;
    let found = match answer.status() {
        200 => answer.text().lines().next().unwrap().to_owned(),
        status => format!("{status} {}", answer.problem("code")),
    };
    assert_eq!(found, expected, "{path}");
}

#[tokio::test]
async fn one_and_the_same_path_is_matched_and_forwarded() {
    let backend = Backend::echo().await;
    let world = World::serving(backend.address).await;
    check(&world, "/orders/7?a=%2F..&b=/../x", "GET /orders/7?a=%2F..&b=/../x HTTP/1.1").await;
    check(&world, "/orders/%37/./x/..", "GET /orders/7/ HTTP/1.1").await;
    check(&world, "/orders//7;v=1", "GET /orders//7;v=1 HTTP/1.1").await;
    check(&world, "/orders/a%20b#part", "GET /orders/a%20b HTTP/1.1").await;
    check(&world, "/stripped/deep/7?x=1", "GET /7?x=1 HTTP/1.1").await;
    check(&world, "/stripped/deep", "GET / HTTP/1.1").await;
    check(&world, "/other", "GET /other HTTP/1.1").await;
}

#[tokio::test]
async fn no_spelling_of_a_path_gets_around_its_rule() {
    let backend = Backend::echo().await;
    let world = World::serving(backend.address).await;
    for path in ["/admin", "/orders/../admin", "/%61dmin", "/./admin/x", "/orders/%2e%2e/admin"] {
        check(&world, path, "401 token_missing").await;
    }
    check(&world, "//admin", "400 path_ambiguous").await;
    check(&world, "/admin;x", "400 path_ambiguous").await;
    for path in
        ["/../admin", "/%2e%2e/admin", "/orders%2f..%2fadmin", "/x%5cadmin", "/x%00", "/orders/..;/admin"]
    {
        check(&world, path, "400 path_invalid").await;
    }
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn a_service_has_a_host_name_of_its_own() {
    let order = Backend::named("order").await;
    let product = Backend::named("product").await;
    let mut world = World::serving(order.address).await;
    world.set("product", &[(1, product.address, Ready)]);
    for (host, path, expected) in [
        ("product.store.localhost", "/products", "200 product"),
        ("PRODUCT.store.localhost.:8080", "/products/7", "200 product"),
        ("product.store.localhost", "/orders", "404 route_not_found"),
        ("order.store.localhost", "/orders", "200 order"),
        ("nobody.store.localhost", "/orders", "404 host_not_found"),
        ("product.store.internal", "/orders", "200 order"),
        ("169.254.169.254", "/products", "200 product"),
    ] {
        let answer = world.send(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        let text = if answer.status() == 200 { answer.text() } else { answer.problem("code") };
        assert_eq!(format!("{} {text}", answer.status()), expected, "{host}{path}");
    }
}

#[tokio::test]
async fn the_request_line_names_the_host_before_the_header_does() {
    let backend = Backend::echo().await;
    let world = World::serving(backend.address).await;
    let answer = world
        .send("GET http://order.store.localhost/orders?x HTTP/1.1\r\nHost: nobody.store.localhost\r\n\r\n")
        .await;
    assert_eq!(answer.status(), 200);
    assert!(answer.text().starts_with("GET /orders?x HTTP/1.1\r\n"));
    assert!(answer.text().contains("host: order.store.localhost\r\n"), "{}", answer.text());
}

#[tokio::test]
async fn health_is_public_under_the_name_of_each_service() {
    let backend = Backend::echo().await;
    let world = World::serving(backend.address).await;
    check(&world, "/order/health/live", "GET /health/live HTTP/1.1").await;
    check(&world, "/order/health/ready", "GET /health/ready HTTP/1.1").await;
    check(&world, "/product/health/ready", "503 no_ready_instance").await;
    let answer = world.send("POST /order/health/live HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!((answer.status(), answer.header("allow")), (405, Some("GET, HEAD")));
}

#[tokio::test]
async fn a_method_that_a_route_does_not_take_is_told_which_it_takes() {
    let world = World::new().await;
    let answer = world.send("DELETE /admin HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!((answer.status(), answer.header("allow")), (405, Some("GET, HEAD, POST")));
    assert_eq!(answer.problem("retryable"), "false");
}

#[tokio::test]
async fn a_service_without_a_ready_instance_says_what_its_instances_do() {
    let backend = Backend::echo().await;
    let mut world = World::new().await;
    let state = |answer: &super::wire::Message| answer.problem("detail");
    let answer = world.get("/orders", "").await;
    assert_eq!((answer.status(), answer.header("retry-after")), (503, Some("1")));
    assert_eq!(state(&answer), "order has no instance that takes requests: it is not running");
    assert_eq!(answer.problem("retryable"), "true");
    world.set("order", &[(1, backend.address, Starting), (2, backend.address, Draining)]);
    let answer = world.get("/orders", "").await;
    let expected =
        "order has no instance that takes requests: order.v1.1 is starting, order.v1.2 is stopping";
    assert_eq!(state(&answer), expected);
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn embedded_handlers_come_before_routes_and_see_no_forged_identity() {
    let world = World::new().await;
    let forged = "X-User-Id: root\r\nX_User_Id: root\r\nX-Caller-Service: order\r\nX-Request-Id: mine\r\n";
    let answer = world.get("/x/../auth/%74oken?a=b", forged).await;
    let text = answer.text();
    assert!(text.starts_with("auth GET /auth/token?a=b\r\n"), "{text}");
    for forbidden in ["root", "caller", "mine"] {
        assert!(!text.contains(forbidden), "{text}");
    }
    assert!(text.contains(&format!("x-request-id: {}\r\n", answer.header("x-request-id").unwrap())));
    check(&world, "/authors", "503 no_ready_instance").await;
}

#[tokio::test]
async fn an_h2_client_reaches_an_http1_instance_with_a_host() {
    let backend = Backend::echo().await;
    let world = World::serving(backend.address).await;
    let stream = tokio::net::TcpStream::connect(world.public).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("http://order.store.localhost:81/orders/7");
    let request =
        request.header("x-user-id", "root").body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, http::Version::HTTP_2));
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(text.starts_with("GET /orders/7 HTTP/1.1\r\n"), "{text}");
    assert!(text.contains("host: order.store.localhost:81\r\n") && !text.contains("root"), "{text}");
}

#[tokio::test]
async fn the_listing_has_every_route_with_its_instances() {
    let mut world = World::new().await;
    let nowhere = "127.0.0.1:1".parse().unwrap();
    world.set("product", &[(1, nowhere, Ready), (2, nowhere, Starting)]);
    let table = world.table();
    let rows = table.rows().iter().filter(|row| row.service.as_str() == "product");
    let lines: Vec<String> = rows
        .map(|row| {
            let host = row.host.as_deref().unwrap_or("*");
            format!("{host} {} {} {}/{}", row.prefix, row.access, row.ready, row.endpoints)
        })
        .collect();
    assert_eq!(
        lines,
        [
            "* /products public 1/2",
            "* /product/health/live public 1/2",
            "* /product/health/ready public 1/2",
            "product.store.localhost /products public 1/2"
        ]
    );
}

#[tokio::test]
async fn requests_of_one_connection_may_go_to_different_services() {
    let (order, product) = (Backend::named("order").await, Backend::named("product").await);
    let mut world = World::serving(order.address).await;
    world.set("product", &[(1, product.address, Ready)]);
    let mut wire = Wire::connect(world.public).await;
    wire.write("GET /orders HTTP/1.1\r\nHost: a\r\n\r\nGET /products HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(wire.read().await.unwrap().text(), "order");
    assert_eq!(wire.read().await.unwrap().text(), "product");
    let answer = send(world.public, "GET /products HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(answer.text(), "product");
}
