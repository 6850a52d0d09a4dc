//! How errors look to clients: RFC 9457 problem documents.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::accounts::{AccountError, FieldError};
use super::password::PasswordError;

/// What went wrong, as a client may know it. It becomes a response body once the request's id is
/// known: see [`Problem::render`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub status: StatusCode,
    /// Stable: programs compare it.
    pub code: &'static str,
    pub detail: String,
    pub retryable: bool,
    pub retry_after_seconds: Option<u64>,
    /// The value of `WWW-Authenticate`.
    pub challenge: Option<&'static str>,
    pub errors: Vec<FieldError>,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    request_id: &'a str,
    retryable: bool,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'a [FieldError],
}

impl Problem {
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            retryable: false,
            retry_after_seconds: None,
            challenge: None,
            errors: Vec::new(),
        }
    }

    /// 401, with the challenge that RFC 6750 asks for.
    #[must_use]
    pub fn unauthorized(code: &'static str, challenge: &'static str, detail: impl Into<String>) -> Self {
        Self { challenge: Some(challenge), ..Self::new(StatusCode::UNAUTHORIZED, code, detail) }
    }

    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        Self { retryable: true, retry_after_seconds: Some(seconds), ..self }
    }

    /// 422, naming each field that is missing or not acceptable.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = "some fields are missing or not acceptable";
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation", detail) }
    }

    /// The document itself, for the request with this id.
    #[must_use]
    pub fn render(&self, request_id: &str) -> Response {
        let document = Document {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            request_id,
            retryable: self.retryable,
            errors: &self.errors,
        };
        let mut response = (self.status, axum::Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

impl IntoResponse for Problem {
    /// The status, with the problem aboard for whoever knows the request's id.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Invalid(errors) => Self::invalid(errors),
            AccountError::EmailTaken => {
                Self::new(StatusCode::CONFLICT, "email-taken", "another account has this email")
            }
            AccountError::WrongCredentials => {
                Self::unauthorized("wrong-credentials", "Bearer", "no account has this email and password")
            }
            AccountError::TooManyAttempts(wait) => {
                let detail = "too many failed attempts; try again later";
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-attempts", detail)
                    .retry_after(wait.as_secs().max(1))
            }
            AccountError::SessionOver => {
                let detail = "the refresh token is unknown, expired or was used before; log in again";
                Self::unauthorized("session-over", "Bearer", detail)
            }
            AccountError::Token(rejection) => Self::invalid_token(rejection.to_string()),
            AccountError::NoAccount => Self::invalid_token("the token's subject has no account here"),
            AccountError::Password(PasswordError::Busy) => {
                let detail = "too many logins at once; try again in a moment";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after(1)
            }
            AccountError::Password(_)
            | AccountError::Store(_)
            | AccountError::Issue(_)
            | AccountError::Abandoned(_) => Self::internal(&error),
        }
    }
}

impl Problem {
    #[must_use]
    pub fn invalid_token(detail: impl Into<String>) -> Self {
        Self::unauthorized("invalid-token", "Bearer error=\"invalid_token\"", detail)
    }

    /// The log sees the cause, the client sees that there was one.
    fn internal(error: &AccountError) -> Self {
        tracing::error!(%error, "an auth request failed");
        let detail = "the platform failed to answer; its log says why";
        Self { retryable: true, ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail) }
    }
}
