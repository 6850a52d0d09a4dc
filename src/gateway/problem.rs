//! Why a request was not served, as a problem document (RFC 9457).
//!
//! The client is told a short stable text and a code; causes that only the operator may know go to
//! the log.

use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::json;

use super::body::Body;
use super::path::PathFault;
use crate::model::name::ServiceName;
use crate::model::principal::TokenRejection;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("the request has more than one Content-Length, or both Content-Length and Transfer-Encoding")]
    Framing,
    #[error("{0}")]
    Host(&'static str),
    #[error("{0}")]
    Path(#[from] PathFault),
    #[error("the path has empty segments or parameters that lead to another route without them")]
    PathAmbiguous,
    #[error("CONNECT is not supported")]
    Connect,
    #[error("TRACE is not allowed")]
    Trace,
    #[error("the path with its query is longer than {limit} bytes")]
    UriTooLong { limit: usize },
    #[error("the header fields are longer than {limit} bytes")]
    HeadersTooLarge { limit: usize },
    #[error("the request body is longer than {limit} bytes")]
    BodyTooLarge { limit: u64 },
    #[error("the request body ended before its end")]
    BodyBroken,
    #[error("the request body stopped coming")]
    BodyLate,
    #[error("a token is needed")]
    TokenMissing,
    #[error("{0}")]
    TokenRejected(TokenRejection),
    #[error("the request carries more than one token")]
    TokensSeveral,
    #[error("the token lacks a scope; needed: {needed}")]
    ScopeMissing { needed: String },
    #[error("no route leads there")]
    NoRoute,
    #[error("no service has this host name")]
    NoHost,
    #[error("the route does not take this method; it takes {allowed}")]
    Method { allowed: String },
    #[error("the caller is not a known instance of this platform")]
    CallerUnknown,
    #[error("the caller's address belongs to {address}, its token to {token}")]
    CallerContradicts { address: ServiceName, token: ServiceName },
    #[error("{caller} may not call {callee}: add \"{callee}\" to services under [calls] in {manifest}")]
    CallNotDeclared { caller: ServiceName, callee: ServiceName, manifest: String },
    #[error("{service} has no instance that takes requests: {state}")]
    NoneReady { service: ServiceName, state: String },
    #[error("{service} could not be reached")]
    Unreachable { service: ServiceName },
    #[error("{service} ended the connection or answered with something that is not HTTP")]
    BadAnswer { service: ServiceName },
    #[error("{service} did not answer in time")]
    AnswerLate { service: ServiceName },
}

impl Problem {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Framing | Self::Host(_) | Self::Path(_) | Self::PathAmbiguous | Self::BodyBroken => {
                StatusCode::BAD_REQUEST
            }
            Self::Connect => StatusCode::NOT_IMPLEMENTED,
            Self::Trace | Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::UriTooLong { .. } => StatusCode::URI_TOO_LONG,
            Self::HeadersTooLarge { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyLate => StatusCode::REQUEST_TIMEOUT,
            Self::TokenMissing | Self::TokenRejected(_) | Self::TokensSeveral => StatusCode::UNAUTHORIZED,
            Self::ScopeMissing { .. }
            | Self::CallerUnknown
            | Self::CallerContradicts { .. }
            | Self::CallNotDeclared { .. } => StatusCode::FORBIDDEN,
            Self::NoRoute | Self::NoHost => StatusCode::NOT_FOUND,
            Self::NoneReady { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unreachable { .. } | Self::BadAnswer { .. } => StatusCode::BAD_GATEWAY,
            Self::AnswerLate { .. } => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// Stable, for programs.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Framing => "framing_ambiguous",
            Self::Host(_) => "host_invalid",
            Self::Path(_) => "path_invalid",
            Self::PathAmbiguous => "path_ambiguous",
            Self::Connect => "connect_unsupported",
            Self::Trace | Self::Method { .. } => "method_not_allowed",
            Self::UriTooLong { .. } => "uri_too_long",
            Self::HeadersTooLarge { .. } => "headers_too_large",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::BodyBroken => "body_incomplete",
            Self::BodyLate => "body_timeout",
            Self::TokenMissing => "token_missing",
            Self::TokenRejected(_) => "token_rejected",
            Self::TokensSeveral => "token_ambiguous",
            Self::ScopeMissing { .. } => "scope_missing",
            Self::NoRoute => "route_not_found",
            Self::NoHost => "host_not_found",
            Self::CallerUnknown | Self::CallerContradicts { .. } => "caller_unknown",
            Self::CallNotDeclared { .. } => "call_not_declared",
            Self::NoneReady { .. } => "no_ready_instance",
            Self::Unreachable { .. } => "upstream_unreachable",
            Self::BadAnswer { .. } => "upstream_broken",
            Self::AnswerLate { .. } => "upstream_timeout",
        }
    }

    /// Whether the same request may succeed later without anybody changing anything. What an
    /// instance has begun to work on is not among them: only the caller knows whether it is safe.
    fn is_retryable(&self) -> bool {
        matches!(self, Self::NoneReady { .. } | Self::Unreachable { .. } | Self::BodyLate)
    }

    pub(super) fn response(&self, request_id: &HeaderValue) -> Response<Body> {
        let status = self.status();
        let document = json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": self.to_string(),
            "code": self.code(),
            "request_id": request_id.to_str().unwrap_or_default(),
            "retryable": self.is_retryable(),
        });
        let mut response = Response::new(Body::full(document.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        self.add_headers(headers);
        response
    }

    fn add_headers(&self, headers: &mut HeaderMap) {
        match self {
            // After a message whose end is in doubt, nothing on the connection can be trusted.
            Self::Framing | Self::BodyTooLarge { .. } | Self::BodyLate => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Self::Method { allowed } => insert(headers, ALLOW, allowed),
            Self::Trace => insert(headers, ALLOW, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            Self::NoneReady { .. } => insert(headers, RETRY_AFTER, "1"),
            // RFC 6750, section 3: no error code where no token was given.
            Self::TokenMissing => insert(headers, WWW_AUTHENTICATE, "Bearer"),
            Self::TokenRejected(reason) => insert(
                headers,
                WWW_AUTHENTICATE,
                &format!("Bearer error=\"invalid_token\", error_description=\"{reason}\""),
            ),
            Self::TokensSeveral => insert(headers, WWW_AUTHENTICATE, "Bearer error=\"invalid_request\""),
            Self::ScopeMissing { needed } => insert(
                headers,
                WWW_AUTHENTICATE,
                &format!("Bearer error=\"insufficient_scope\", scope=\"{needed}\""),
            ),
            _ => {}
        }
    }
}

fn insert(headers: &mut HeaderMap, name: http::HeaderName, value: &str) {
    // Names, scopes and fixed texts: visible ASCII all of them. If one were not, the status and the
    // document still say everything.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
