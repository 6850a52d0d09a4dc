//! The service as its callers see it, without a network in between.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::http::{COLLECTION, MAX_BODY_BYTES, router};
use crate::store::Store;

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

fn service() -> Router {
    router(Store::open(None).unwrap())
}

async fn send(service: &Router, request: Request<Body>) -> Reply {
    let response = service.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Reply {
        status: parts.status,
        headers: parts.headers,
        body,
    }
}

fn request(method: &str, path: &str, user: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("x-user-id", user)
        .header("content-type", "application/json")
        .header("x-request-id", "r-1")
        .body(body.into())
        .unwrap()
}

async fn call(service: &Router, user: &str, method: &str, path: &str) -> Reply {
    send(service, request(method, path, user, Body::empty())).await
}

async fn post(service: &Router, user: &str, body: &str) -> Reply {
    send(service, request("POST", COLLECTION, user, body.to_owned())).await
}

/// Creates an item and says where it is.
async fn create(service: &Router, user: &str, name: &str) -> String {
    let reply = post(service, user, &json!({ "name": name }).to_string()).await;
    assert_eq!(reply.status, StatusCode::CREATED);
    reply.headers["location"].to_str().unwrap().to_owned()
}

fn check_problem(reply: &Reply, status: u16, code: &str) {
    assert_eq!(
        (reply.status.as_u16(), reply.body["code"].as_str()),
        (status, Some(code))
    );
    assert_eq!(reply.headers["content-type"], "application/problem+json");
    assert_eq!(reply.headers["x-request-id"], "r-1");
    assert_eq!(reply.body["request_id"], "r-1");
    assert_eq!(reply.body["status"], status);
    assert_eq!(reply.body["retryable"], status == 503);
    for text in ["type", "title", "detail"] {
        assert!(reply.body[text].is_string(), "{text}");
    }
}

#[tokio::test]
async fn an_item_is_created_shown_listed_and_removed() {
    let service = service();
    let location = create(&service, "alice", "tea").await;

    let shown = call(&service, "alice", "GET", &location).await;
    assert_eq!(
        (shown.status, &shown.body["name"]),
        (StatusCode::OK, &json!("tea"))
    );
    let listed = call(&service, "alice", "GET", COLLECTION).await;
    assert_eq!(
        (listed.status, listed.body),
        (StatusCode::OK, json!([shown.body]))
    );

    assert_eq!(
        call(&service, "alice", "DELETE", &location).await.status,
        StatusCode::NO_CONTENT
    );
    check_problem(
        &call(&service, "alice", "GET", &location).await,
        404,
        "not_found",
    );
    assert_eq!(
        call(&service, "alice", "GET", COLLECTION).await.body,
        json!([])
    );
}

#[tokio::test]
async fn the_newest_item_is_listed_first() {
    let service = service();
    for name in ["first", "second", "third"] {
        create(&service, "alice", name).await;
    }
    let listed = call(&service, "alice", "GET", COLLECTION).await.body;
    let names: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["name"])
        .collect();
    assert_eq!(names, ["third", "second", "first"]);
}

#[tokio::test]
async fn what_is_someone_elses_is_not_there() {
    let service = service();
    let location = create(&service, "alice", "tea").await;
    check_problem(
        &call(&service, "bob", "GET", &location).await,
        404,
        "not_found",
    );
    check_problem(
        &call(&service, "bob", "DELETE", &location).await,
        404,
        "not_found",
    );
    assert_eq!(
        call(&service, "bob", "GET", COLLECTION).await.body,
        json!([])
    );
    assert_eq!(
        call(&service, "alice", "GET", &location).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_request_that_names_no_user_is_refused() {
    check_problem(
        &call(&service(), "", "GET", COLLECTION).await,
        401,
        "unauthenticated",
    );
}

#[tokio::test]
async fn an_invalid_item_names_every_fault() {
    let reply = post(
        &service(),
        "alice",
        &json!({ "note": "x".repeat(1001) }).to_string(),
    )
    .await;
    check_problem(&reply, 422, "invalid");
    let expected = json!([
        { "field": "name", "message": "must not be empty" },
        { "field": "note", "message": "must not be longer than 1000 characters" },
    ]);
    assert_eq!(reply.body["errors"], expected);
}

#[tokio::test]
async fn a_field_of_the_wrong_type_is_named() {
    let reply = post(&service(), "alice", r#"{ "name": 5 }"#).await;
    check_problem(&reply, 422, "invalid");
    assert_eq!(reply.body["errors"][0]["field"], "name");
}

#[tokio::test]
async fn a_body_that_is_no_json_is_malformed() {
    for body in ["", "{", "{\"name\": \"tea\""] {
        check_problem(
            &post(&service(), "alice", body).await,
            400,
            "malformed_json",
        );
    }
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let mut request = request("POST", COLLECTION, "alice", "name=tea");
    request
        .headers_mut()
        .insert("content-type", "text/plain".parse().unwrap());
    check_problem(
        &send(&service(), request).await,
        415,
        "unsupported_media_type",
    );
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let body = json!({ "name": "x".repeat(MAX_BODY_BYTES) }).to_string();
    check_problem(
        &post(&service(), "alice", &body).await,
        413,
        "body_too_large",
    );
}

#[tokio::test]
async fn an_unknown_path_is_a_problem_too() {
    check_problem(
        &call(&service(), "alice", "GET", "/nothing/here").await,
        404,
        "unknown_path",
    );
}

#[tokio::test]
async fn a_method_that_the_path_does_not_know_names_those_it_does() {
    let reply = call(&service(), "alice", "PUT", COLLECTION).await;
    check_problem(&reply, 405, "method_not_allowed");
    assert_eq!(reply.headers["allow"], "GET,HEAD,POST");
}

#[tokio::test]
async fn a_request_without_an_id_is_given_one() {
    let request = Request::builder()
        .uri("/nothing")
        .body(Body::empty())
        .unwrap();
    let reply = send(&service(), request).await;
    let id = reply.headers["x-request-id"].to_str().unwrap();
    assert_eq!(
        (id.len(), reply.body["request_id"].as_str()),
        (36, Some(id))
    );
}

#[tokio::test]
async fn the_service_is_alive_and_ready() {
    let service = service();
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(
            call(&service, "", "GET", path).await.status,
            StatusCode::OK,
            "{path}"
        );
    }
}
