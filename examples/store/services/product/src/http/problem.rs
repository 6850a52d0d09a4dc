//! Everything that goes wrong, as RFC 9457 problem details.

use std::fmt::Display;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

/// A problem on its way to the client. [`super::request::observe`] writes it, because only there
/// is the request's id known.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    faults: Vec<Fault>,
    /// For the log; a client has no use for it.
    pub cause: Option<String>,
}

/// What is wrong with one field of a request.
#[derive(Debug, Clone, Serialize)]
pub struct Fault {
    pub field: &'static str,
    pub message: String,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), faults: Vec::new(), cause: None }
    }

    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here, or nothing for you")
    }

    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this resource has no such method")
    }

    pub fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "sign in first")
    }

    pub fn missing_scope(scope: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "missing_scope", format!("this needs the scope {scope}"))
    }

    pub fn invalid(faults: Vec<Fault>) -> Self {
        let problem =
            Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "some fields are missing or wrong");
        Self { faults, ..problem }
    }

    /// The request could not even be read.
    pub fn unreadable(status: StatusCode, detail: String) -> Self {
        Self::new(status, "unreadable", detail)
    }

    pub fn not_ready(cause: &impl Display) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", "the database does not answer");
        Self { cause: Some(cause.to_string()), ..problem }
    }

    fn internal(cause: &impl Display) -> Self {
        let problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something broke on our side");
        Self { cause: Some(cause.to_string()), ..problem }
    }

    /// The whole answer, once the request's id is known.
    pub fn answer(&self, request_id: &str) -> Response {
        let content_type = HeaderValue::from_static("application/problem+json");
        let body = Json(self.document(request_id));
        (self.status, [(header::CONTENT_TYPE, content_type)], body).into_response()
    }

    fn document(&self, request_id: &str) -> Value {
        let mut document = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
            "retryable": self.status == StatusCode::SERVICE_UNAVAILABLE,
        });
        if !self.faults.is_empty() {
            document["errors"] = json!(self.faults);
        }
        document
    }
}

impl From<crate::store::StoreError> for Problem {
    fn from(error: crate::store::StoreError) -> Self {
        Self::internal(&error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
