//! Who asks, from the headers that the gateway sets and no client can forge.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;

use super::problem::Problem;
use crate::domain::Caller;

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let id = header(&parts.headers, "x-user-id").filter(|id| !id.is_empty());
        let scopes = header(&parts.headers, "x-user-scopes").unwrap_or_default();
        Ok(Self {
            id: id.ok_or_else(Problem::unauthenticated)?.to_owned(),
            scopes: scopes.split_ascii_whitespace().map(str::to_owned).collect(),
        })
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
