//! What surrounds every request: its id, its line in the log, and the writing of problems.

use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::json;
use uuid::Uuid;

use super::problem::Problem;
use crate::log::Log;

pub async fn observe(State(log): State<Log>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = id_of(request.headers());
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());

    let response = next.run(request).await;
    let problem = response.extensions().get::<Problem>().cloned();
    let mut response = problem.as_ref().map_or(response, |problem| problem.answer(&request_id));
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert("x-request-id", value);
    }

    let status = response.status();
    let mut fields = json!({
        "request_id": request_id,
        "method": method,
        "path": path,
        "status": status.as_u16(),
        "duration_ms": u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    });
    if let Some(cause) = problem.and_then(|problem| problem.cause) {
        fields["error"] = json!(cause);
    }
    if status.is_server_error() {
        log.error("request", fields);
    } else {
        log.info("request", fields);
    }
    response
}

/// The id that the gateway gave, or a fresh one for a request that came another way.
fn id_of(headers: &HeaderMap) -> String {
    let given = headers.get("x-request-id").and_then(|value| value.to_str().ok());
    given.filter(|id| !id.is_empty()).map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}
