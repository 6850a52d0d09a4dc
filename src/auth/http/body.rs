//! JSON bodies, and what is wrong with those that are not.
//!
//! Messages never quote the body: it holds passwords.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::auth::accounts::FieldError;
use crate::auth::problem::Problem;

/// The body of a request, as JSON sent as JSON: another content type is refused, which also keeps
/// plain HTML forms of other sites out.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        // Read before anything is refused: a connection with an unread body cannot be used again, and
        // its client would learn that only from its next request.
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| unread(&rejection))?;
        if !is_json {
            return Err(not_sent_as_json());
        }
        parse(&bytes).map(Self)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// The value that some JSON is. For a body that may also be absent, called by hand.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        Category::Data => unexpected_type(),
        Category::Syntax | Category::Eof | Category::Io => not_json(),
    })
}

/// Names the fields that are absent.
pub fn missing(absent: &[(&'static str, bool)]) -> Problem {
    let absent = absent.iter().filter(|(_, is_absent)| *is_absent);
    Problem::invalid(
        absent.map(|&(field, _)| FieldError { field, message: "is missing".to_owned() }).collect(),
    )
}

fn unread(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::new(rejection.status(), "body-too-large", "the body is longer than 16 KiB");
    }
    not_json()
}

fn not_sent_as_json() -> Problem {
    let detail = "send the body as JSON, with Content-Type: application/json";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail)
}

fn unexpected_type() -> Problem {
    let detail = "a field of the body has another type than expected";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "validation", detail)
}

fn not_json() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed-body", "the body is not the JSON that is expected here")
}
