//! The service as its clients see it, over a database of its own for each test.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use account::http::{Service, router};
use account::log::{Level, Log};
use account::store::Accounts;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

struct Registry {
    router: Router,
    folder: TempDir,
}

struct Answer {
    status: StatusCode,
    content_type: String,
    request_id: String,
    body: Value,
}

fn open(file: &Path) -> Router {
    let log = Log::new("account", Level::Error);
    router(Service { accounts: Accounts::open(file).unwrap(), log })
}

impl Registry {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { router: open(&folder.path().join("account.db")), folder }
    }

    async fn ask(&self, who: &str, method: &str, path: &str, body: Value) -> Answer {
        let (id, scopes) = who.split_once(' ').unwrap_or((who, ""));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-user-id", id)
            .header("x-user-scopes", scopes)
            .header("x-request-id", "r-1")
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        send(&self.router, request).await
    }

    async fn get(&self, who: &str, path: &str) -> Answer {
        self.ask(who, "GET", path, Value::Null).await
    }
}

async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let content_type = header("content-type").unwrap_or_default();
    let (status, request_id) = (response.status(), header("x-request-id").unwrap());
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    Answer { status, content_type, request_id, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
}

#[tokio::test]
async fn an_account_begins_at_its_owners_first_visit_and_is_kept() {
    let registry = Registry::new();
    let first = registry.get("ana", "/accounts/ana").await;
    assert_eq!((first.status, &first.body["id"]), (StatusCode::OK, &json!("ana")));
    assert_eq!(first.body["display_name"], Value::Null);
    assert_eq!(registry.get("ana", "/accounts/ana").await.body, first.body);
}

#[tokio::test]
async fn its_owner_changes_and_removes_an_account() {
    let registry = Registry::new();
    let changed = registry.ask("ana", "PUT", "/accounts/ana", json!({ "display_name": " Ana Lúcia " })).await;
    assert_eq!((changed.status, &changed.body["display_name"]), (StatusCode::OK, &json!("Ana Lúcia")));
    assert_eq!(registry.get("ana", "/accounts/ana").await.body, changed.body);

    let removed = registry.ask("ana", "DELETE", "/accounts/ana", Value::Null).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    let again = registry.ask("ana", "DELETE", "/accounts/ana", Value::Null).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn somebody_elses_account_looks_like_none() {
    let registry = Registry::new();
    registry.get("ana", "/accounts/ana").await;
    let none = registry.get("rui", "/accounts/nobody").await;
    let body = json!({ "display_name": "mine now" });
    for method in ["GET", "PUT", "DELETE"] {
        let answer = registry.ask("rui", method, "/accounts/ana", body.clone()).await;
        assert_eq!((answer.status, &answer.body), (StatusCode::NOT_FOUND, &none.body), "{method}");
    }
    assert_eq!(registry.get("ana", "/accounts/ana").await.body["display_name"], Value::Null);
}

#[tokio::test]
async fn an_administrator_uses_every_account_but_begins_none() {
    let registry = Registry::new();
    registry.get("ana", "/accounts/ana").await;
    assert_eq!(registry.get("root admin", "/accounts/ana").await.status, StatusCode::OK);
    assert_eq!(registry.get("root admin", "/accounts/rui").await.status, StatusCode::NOT_FOUND);
    let removed = registry.ask("root orders:read admin", "DELETE", "/accounts/ana", Value::Null).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_name_nobody_could_have_is_refused_by_field() {
    let registry = Registry::new();
    for (name, message) in [
        (json!(" "), "must have 1 to 64 characters, and no control characters"),
        (json!(7), "must be a string"),
        (Value::Null, "is required"),
    ] {
        let answer = registry.ask("ana", "PUT", "/accounts/ana", json!({ "display_name": name })).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(answer.content_type, "application/problem+json");
        assert_eq!(answer.body["errors"], json!([{ "field": "display_name", "message": message }]));
        assert_eq!((&answer.body["request_id"], answer.request_id.as_str()), (&json!("r-1"), "r-1"));
    }
}

#[tokio::test]
async fn a_caller_without_identity_is_nobody() {
    let request = Request::get("/accounts/ana").body(Body::empty()).unwrap();
    let answer = send(&Registry::new().router, request).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(!answer.request_id.is_empty());
}

#[tokio::test]
async fn accounts_outlive_the_process_and_two_generations_share_them() {
    let old = Registry::new();
    let new = open(&old.folder.path().join("account.db"));
    let kept = old.ask("ana", "PUT", "/accounts/ana", json!({ "display_name": "Ana" })).await.body;
    let request = Request::get("/accounts/ana").header("x-user-id", "ana").body(Body::empty()).unwrap();
    assert_eq!(send(&new, request).await.body, kept);
}

#[tokio::test]
async fn an_unknown_path_or_method_is_a_problem_too() {
    let registry = Registry::new();
    for (method, path, status) in [
        ("GET", "/accounts", StatusCode::NOT_FOUND),
        ("GET", "/accountsx/ana", StatusCode::NOT_FOUND),
        ("PATCH", "/accounts/ana", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let answer = registry.ask("ana", method, path, Value::Null).await;
        assert_eq!((answer.status, &answer.body["status"]), (status, &json!(status.as_u16())), "{path}");
    }
}

#[tokio::test]
async fn health_needs_no_identity() {
    let registry = Registry::new();
    for path in ["/health/live", "/health/ready"] {
        let answer = send(&registry.router, Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
    }
}
