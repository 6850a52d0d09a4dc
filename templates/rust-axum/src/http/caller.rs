//! Who calls. The gateway has verified the token and sets `X-User-Id`; no client can.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::problem::Problem;

/// The id of the user on whose behalf the request is made.
pub struct Caller(pub String);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let id = parts
            .headers
            .get("x-user-id")
            .and_then(|value| value.to_str().ok());
        match id.filter(|id| !id.is_empty()) {
            Some(id) => Ok(Self(id.to_owned())),
            None => Err(Problem::unauthenticated()),
        }
    }
}
