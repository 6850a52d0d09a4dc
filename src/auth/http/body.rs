//! JSON bodies, and what is wrong with those that are not.
//!
//! Messages never quote the body: it holds passwords.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use crate::auth::accounts::FieldError;
use crate::auth::problem::Problem;

/// The body of a request, as JSON sent as JSON: another content type is refused, which also keeps
/// plain HTML forms of other sites out.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(explain(&rejection)),
        }
    }
}

/// For a body that may also be absent.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|_| not_json())
}

/// Names the fields that are absent.
pub fn missing(absent: &[(&'static str, bool)]) -> Problem {
    let absent = absent.iter().filter(|(_, is_absent)| *is_absent);
    Problem::invalid(
        absent.map(|&(field, _)| FieldError { field, message: "is missing".to_owned() }).collect(),
    )
}

fn explain(rejection: &JsonRejection) -> Problem {
    match rejection {
        JsonRejection::JsonDataError(_) => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "validation",
            "a field of the body has another type than expected",
        ),
        JsonRejection::MissingJsonContentType(_) => Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "send the body as JSON, with Content-Type: application/json",
        ),
        JsonRejection::BytesRejection(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "the body is longer than 16 KiB")
        }
        _ => not_json(),
    }
}

fn not_json() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed-body", "the body is not the JSON that is expected here")
}
