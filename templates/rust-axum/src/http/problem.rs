//! Everything that is answered instead of a result (RFC 9457).

use std::error::Error;

use axum::Json;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::MAX_BODY_BYTES;
use crate::domain::Fault;
use crate::{log, request_id};

pub struct Problem {
    status: StatusCode,
    /// What programs go by; stable, unlike the texts.
    code: &'static str,
    detail: String,
    faults: Vec<Fault>,
}

pub async fn unknown_path(uri: Uri) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "unknown_path",
        format!("nothing is at {}", uri.path()),
    )
}

pub async fn unknown_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not know {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            faults: Vec::new(),
        }
    }

    pub fn unauthenticated() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "the request names no user",
        )
    }

    /// There is none, or it is someone else's: the answer is the same, so that nobody can find out.
    pub fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "you have nothing with this id",
        )
    }

    pub fn invalid(faults: Vec<Fault>) -> Self {
        let problem = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            "some fields break a rule",
        );
        Self { faults, ..problem }
    }

    pub fn malformed(cause: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "malformed_json",
            format!("the body is not JSON: {cause}"),
        )
    }

    pub fn not_json() -> Self {
        let detail = "send the body as application/json";
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            detail,
        )
    }

    pub fn too_large() -> Self {
        let detail = format!("the body is larger than {MAX_BODY_BYTES} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    }

    /// The caller learns that it was not their fault, the log learns why.
    pub fn unavailable(cause: &dyn Error) -> Self {
        log::error(
            "the database did not answer",
            json!({ "cause": cause.to_string() }),
        );
        let detail = "the service cannot reach its data at the moment";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }

    fn to_json(&self) -> Value {
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id::current(),
            "retryable": self.status == StatusCode::SERVICE_UNAVAILABLE,
        });
        if !self.faults.is_empty() {
            body["errors"] = self.faults.iter().map(json_of).collect();
        }
        body
    }
}

fn json_of(fault: &Fault) -> Value {
    json!({ "field": fault.field, "message": fault.message })
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        Self::unavailable(&error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.to_json())).into_response();
        let content_type = HeaderValue::from_static("application/problem+json");
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, content_type);
        response
    }
}
