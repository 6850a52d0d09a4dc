//! The service as its clients see it, over a database of its own for each test.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use http_body_util::BodyExt;
use product::http::{Service, router};
use product::log::{Level, Log};
use product::store::Catalogue;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

const SELLER: &str = "products:write";

struct Shop {
    router: Router,
    folder: TempDir,
}

struct Answer {
    status: StatusCode,
    location: Option<String>,
    content_type: String,
    request_id: String,
    body: Value,
}

fn open(file: &Path) -> Router {
    let log = Log::new("product", Level::Error);
    router(Service { products: Catalogue::open(file).unwrap(), log })
}

impl Shop {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { router: open(&folder.path().join("product.db")), folder }
    }

    async fn ask(&self, method: &str, path: &str, scopes: &str, body: Value) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-user-id", "ana")
            .header("x-user-scopes", scopes)
            .header("x-request-id", "r-1")
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        self.send(request).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", Value::Null).await
    }

    async fn add(&self, name: &str) -> String {
        let body = json!({ "name": name, "price": "12.50", "unit": "kg" });
        let answer = self.ask("POST", "/products", SELLER, body).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        answer.body["id"].as_str().unwrap().to_owned()
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        read(self.router.clone().oneshot(request).await.unwrap()).await
    }
}

async fn read(response: Response) -> Answer {
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (location, content_type) = (header("location"), header("content-type").unwrap_or_default());
    let (status, request_id) = (response.status(), header("x-request-id").unwrap());
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Answer { status, location, content_type, request_id, body }
}

#[tokio::test]
async fn a_product_is_added_found_listed_and_removed() {
    let shop = Shop::new();
    let body = json!({ "name": "Coffee", "price": "12.5", "unit": "kg" });
    let added = shop.ask("POST", "/products", SELLER, body).await;
    let path = added.location.unwrap();
    assert_eq!(path, format!("/products/{}", added.body["id"].as_str().unwrap()));
    assert_eq!(added.body["price"], "12.50");

    assert_eq!(shop.get(&path).await.body, added.body);
    assert_eq!(shop.get("/products").await.body, json!({ "items": [added.body], "next": null }));

    assert_eq!(shop.ask("DELETE", &path, SELLER, Value::Null).await.status, StatusCode::NO_CONTENT);
    assert_eq!(shop.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(shop.ask("DELETE", &path, SELLER, Value::Null).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn everything_wrong_with_a_product_is_said_at_once() {
    let body = json!({ "name": " ", "price": 12.5 });
    let answer = Shop::new().ask("POST", "/products", SELLER, body).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.content_type, "application/problem+json");
    assert_eq!((&answer.body["request_id"], answer.request_id.as_str()), (&json!("r-1"), "r-1"));
    assert_eq!(
        answer.body["errors"],
        json!([
            { "field": "name", "message": "must have 1 to 120 characters, and no control characters" },
            { "field": "price", "message": "must be a string" },
            { "field": "unit", "message": "is required" },
        ])
    );
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused_with_a_problem() {
    let shop = Shop::new();
    let request = |content_type: &str| {
        Request::post("/products")
            .header("x-user-id", "ana")
            .header("x-user-scopes", SELLER)
            .header("content-type", content_type)
            .body(Body::from("{"))
            .unwrap()
    };
    let malformed = shop.send(request("application/json")).await;
    assert_eq!((malformed.status, &malformed.body["code"]), (StatusCode::BAD_REQUEST, &json!("unreadable")));
    let form = shop.send(request("text/plain")).await;
    assert_eq!(form.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn only_a_caller_with_the_scope_changes_products() {
    let shop = Shop::new();
    let path = format!("/products/{}", shop.add("Coffee").await);
    let body = json!({ "name": "Tea", "price": "3", "unit": "box" });
    assert_eq!(shop.ask("POST", "/products", "orders:write", body).await.status, StatusCode::FORBIDDEN);
    assert_eq!(shop.ask("DELETE", &path, "", Value::Null).await.status, StatusCode::FORBIDDEN);
    assert_eq!(shop.get(&path).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_caller_without_identity_is_nobody() {
    let request = Request::get("/products").body(Body::empty()).unwrap();
    let answer = Shop::new().send(request).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(!answer.request_id.is_empty());
}

#[tokio::test]
async fn pages_follow_one_another_until_the_last() {
    let shop = Shop::new();
    for name in ["one", "two", "three"] {
        shop.add(name).await;
    }
    let first = shop.get("/products?limit=2").await.body;
    assert_eq!((&first["items"][0]["name"], &first["items"][1]["name"]), (&json!("one"), &json!("two")));
    let second = shop.get(&format!("/products?limit=2&after={}", first["next"].as_str().unwrap())).await.body;
    assert_eq!((&second["items"][0]["name"], &second["next"]), (&json!("three"), &Value::Null));

    for query in ["limit=0", "limit=101", "limit=x", "after=x"] {
        let answer = shop.get(&format!("/products?{query}")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
    }
}

#[tokio::test]
async fn products_outlive_the_process_and_two_generations_share_them() {
    let old = Shop::new();
    let id = old.add("Coffee").await;
    let router = open(&old.folder.path().join("product.db"));
    let request = Request::get(format!("/products/{id}")).header("x-user-id", "ana");
    let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(read(response).await.body["name"], "Coffee");
}

#[tokio::test]
async fn an_unknown_path_or_method_is_a_problem_too() {
    let shop = Shop::new();
    for (method, path, status) in [
        ("GET", "/products/not-a-uuid", StatusCode::NOT_FOUND),
        ("GET", "/productsx", StatusCode::NOT_FOUND),
        ("PATCH", "/products", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let answer = shop.ask(method, path, "", Value::Null).await;
        assert_eq!((answer.status, &answer.body["status"]), (status, &json!(status.as_u16())), "{path}");
    }
}

#[tokio::test]
async fn health_needs_no_identity() {
    let shop = Shop::new();
    for path in ["/health/live", "/health/ready"] {
        let answer = shop.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
    }
}
