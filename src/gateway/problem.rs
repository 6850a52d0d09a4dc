//! Why a request was not served. What the client is told of it is made by
//! [`refusal`](super::refusal).
//!
//! The client is told a short stable text and a code; causes that only the operator may know go to
//! the log.

use std::time::Duration;

use http::StatusCode;

use super::path::PathFault;
use super::policy::limiter::{Answer, Verdict};
use crate::model::name::ServiceName;
use crate::model::principal::TokenRejection;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("the request is not well-formed HTTP")]
    Malformed,
    #[error(
        "the request leaves in doubt where it ends: more than one Content-Length, both Content-Length and \
         Transfer-Encoding, or lines that end with LF alone"
    )]
    Framing,
    #[error("the transfer coding of the request is not \"chunked\" alone")]
    Coding,
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
    #[error("the header fields are too many, or longer than {limit} bytes")]
    HeadersTooLarge { limit: usize },
    #[error("the request body is longer than {limit} bytes")]
    BodyTooLarge { limit: u64 },
    #[error("the request body ended before its end")]
    BodyBroken,
    #[error("the request body is not well-formed: a chunk does not say how long it is")]
    BodyMalformed,
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
    #[error("the exchange with {service} took longer than it may altogether")]
    TotalLate { service: ServiceName },
    #[error("too many requests of this client, or of all together")]
    RateLimited(Answer),
    #[error("{service} is answering as many requests as it may at once")]
    ConcurrencyFull { service: ServiceName },
    #[error("{service} has failed too often and is left alone for a moment")]
    BreakerOpen { service: ServiceName, retry_after: Duration },
    #[error("the request has come through this gateway too often")]
    Loop,
    #[error("this connection is not for that host")]
    Misdirected,
    #[error("the gateway met a fault of its own")]
    Internal,
}

impl Problem {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Malformed
            | Self::Framing
            | Self::Coding
            | Self::Host(_)
            | Self::Path(_)
            | Self::PathAmbiguous
            | Self::BodyBroken
            | Self::BodyMalformed => StatusCode::BAD_REQUEST,
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
            Self::NoneReady { .. } | Self::ConcurrencyFull { .. } | Self::BreakerOpen { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Unreachable { .. } | Self::BadAnswer { .. } => StatusCode::BAD_GATEWAY,
            Self::AnswerLate { .. } | Self::TotalLate { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Stable, for programs.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "request_malformed",
            Self::Framing => "framing_ambiguous",
            Self::Coding => "coding_unsupported",
            Self::Host(_) => "host_invalid",
            Self::Path(_) => "path_invalid",
            Self::PathAmbiguous => "path_ambiguous",
            Self::Connect => "connect_unsupported",
            Self::Trace | Self::Method { .. } => "method_not_allowed",
            Self::UriTooLong { .. } => "uri_too_long",
            Self::HeadersTooLarge { .. } => "headers_too_large",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::BodyBroken => "body_incomplete",
            Self::BodyMalformed => "body_malformed",
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
            Self::TotalLate { .. } => "total_timeout",
            Self::RateLimited(_) => "rate_limited",
            Self::ConcurrencyFull { .. } => "too_many_in_flight",
            Self::BreakerOpen { .. } => "circuit_open",
            Self::Loop => "loop_detected",
            Self::Misdirected => "misdirected",
            Self::Internal => "internal",
        }
    }

    /// Whether the same request may succeed later without anybody changing anything. What an
    /// instance has begun to work on is not among them: only the caller knows whether it is safe.
    pub(super) fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::NoneReady { .. }
                | Self::Unreachable { .. }
                | Self::BodyLate
                | Self::RateLimited(_)
                | Self::ConcurrencyFull { .. }
                | Self::BreakerOpen { .. }
                | Self::Misdirected
        )
    }

    /// How long to wait before trying again, where there is something to wait for.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited(answer) => match answer.verdict {
                Verdict::Refused { retry_after } => Some(retry_after),
                Verdict::Admitted => None,
            },
            Self::BreakerOpen { retry_after, .. } => Some(*retry_after),
            Self::NoneReady { .. } | Self::ConcurrencyFull { .. } => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    /// Whether nothing that follows on the connection can be trusted.
    pub(super) fn ends_connection(&self) -> bool {
        matches!(self, Self::BodyTooLarge { .. } | Self::BodyLate) || self.status() == StatusCode::BAD_REQUEST
    }
}
