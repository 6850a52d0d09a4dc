//! Gives every request its id and its line in the log.

use std::time::Instant;

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use serde_json::json;

use crate::{log, request_id};

pub async fn around(request: Request, next: Next) -> Response {
    let id = request_id::of(request.headers());
    let header = HeaderValue::from_str(&id);
    let mut response = request_id::scope(id, handle(request, next)).await;
    if let Ok(header) = header {
        response.headers_mut().insert(request_id::HEADER, header);
    }
    response
}

async fn handle(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let (method, path) = (
        request.method().to_string(),
        request.uri().path().to_owned(),
    );
    let response = next.run(request).await;
    let fields = json!({
        "method": method,
        "path": path,
        "status": response.status().as_u16(),
        "duration_ms": started.elapsed().as_millis(),
    });
    // Probes come all the time and say nothing.
    match path.starts_with("/health/") {
        true => log::debug("request", fields),
        false => log::info("request", fields),
    }
    response
}
