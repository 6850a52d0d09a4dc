//! What the client is told when a request was not served: a problem document (RFC 9457), or, where a
//! person waits at a browser, a page that says the same.

use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use serde_json::json;

use super::body::Body;
use super::error_page;
use super::policy::limiter::whole_seconds;
use super::problem::Problem;
use super::rate_headers;
use super::wants::Wants;

/// The page loads nothing and can be put into no frame.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

impl Problem {
    pub(super) fn response(&self, request_id: &HeaderValue, wants: Wants) -> Response<Body> {
        let request_id = request_id.to_str().unwrap_or_default();
        let mut response = Response::new(Body::full(match wants {
            Wants::Document => self.document(request_id),
            Wants::Page => error_page::render(self, request_id),
        }));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        match wants {
            Wants::Document => insert_static(headers, CONTENT_TYPE, "application/problem+json"),
            Wants::Page => {
                insert_static(headers, CONTENT_TYPE, "text/html; charset=utf-8");
                insert_static(headers, CONTENT_SECURITY_POLICY, PAGE_POLICY);
                insert_static(headers, X_CONTENT_TYPE_OPTIONS, "nosniff");
            }
        }
        // A refusal is about this moment, and often about this caller.
        insert_static(headers, CACHE_CONTROL, "no-store");
        self.add_headers(headers);
        response
    }

    pub(super) fn document(&self, request_id: &str) -> String {
        let status = self.status();
        let document = json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": self.to_string(),
            "code": self.code(),
            "request_id": request_id,
            "retryable": self.is_retryable(),
        });
        document.to_string()
    }

    fn add_headers(&self, headers: &mut HeaderMap) {
        if self.ends_connection() {
            insert_static(headers, CONNECTION, "close");
        }
        if let Some(wait) = self.retry_after() {
            // "0" would have the client back at once.
            headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait).max(1)));
        }
        match self {
            Self::Method { allowed } => insert(headers, ALLOW, allowed),
            Self::Trace => insert_static(headers, ALLOW, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            Self::RateLimited(answer) => rate_headers::add(headers, answer),
            // RFC 6750, section 3: no error code where no token was given.
            Self::TokenMissing => insert_static(headers, WWW_AUTHENTICATE, "Bearer"),
            Self::TokenRejected(reason) => insert(
                headers,
                WWW_AUTHENTICATE,
                &format!("Bearer error=\"invalid_token\", error_description=\"{reason}\""),
            ),
            Self::TokensSeveral => {
                insert_static(headers, WWW_AUTHENTICATE, "Bearer error=\"invalid_request\"");
            }
            Self::ScopeMissing { needed } => insert(
                headers,
                WWW_AUTHENTICATE,
                &format!("Bearer error=\"insufficient_scope\", scope=\"{needed}\""),
            ),
            _ => {}
        }
    }
}

fn insert_static(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // Names, scopes and fixed texts: visible ASCII all of them. If one were not, the status and the
    // document still say everything.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use http::StatusCode;
    use http_body_util::BodyExt;

    use crate::gateway::flag::Flag;
    use crate::gateway::policy::limiter::{Answer, Verdict};
    use crate::model::name::ServiceName;

    fn order() -> ServiceName {
        "order".parse().unwrap()
    }

    fn refused() -> Answer {
        Answer {
            verdict: Verdict::Refused { retry_after: Duration::from_millis(600) },
            limit: 100,
            remaining: 0,
            reset: Duration::from_millis(11_500),
        }
    }

    fn answer(problem: &Problem, wants: Wants) -> Response<Body> {
        problem.response(&HeaderValue::from_static("id-1"), wants)
    }

    fn check(problem: &Problem, status: u16, code: &str, flag: &str, retryable: bool) {
        let response = answer(problem, Wants::Document);
        assert_eq!(response.status(), StatusCode::from_u16(status).unwrap(), "{problem:?}");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert_eq!((problem.code(), Flag::of(problem).as_str()), (code, flag), "{problem:?}");
        assert_eq!(problem.is_retryable(), retryable, "{problem:?}");
    }

    #[test]
    fn each_kind_of_limit_has_its_status_code_and_flag() {
        check(&Problem::RateLimited(refused()), 429, "rate_limited", "RL", true);
        check(&Problem::ConcurrencyFull { service: order() }, 503, "too_many_in_flight", "UO", true);
        let open = Problem::BreakerOpen { service: order(), retry_after: Duration::from_secs(3) };
        check(&open, 503, "circuit_open", "CB", true);
        check(&Problem::TotalLate { service: order() }, 504, "total_timeout", "DT", false);
        check(&Problem::AnswerLate { service: order() }, 504, "upstream_timeout", "UT", false);
        check(&Problem::Loop, 508, "loop_detected", "LD", false);
        check(&Problem::Misdirected, 421, "misdirected", "DPE", true);
        check(&Problem::Internal, 500, "internal", "IN", false);
    }

    #[test]
    fn a_client_that_may_come_back_is_told_when() {
        let wait = |problem: &Problem| answer(problem, Wants::Document).headers().get(RETRY_AFTER).cloned();
        assert_eq!(wait(&Problem::RateLimited(refused())).unwrap(), "1");
        let open = |wait| Problem::BreakerOpen { service: order(), retry_after: wait };
        assert_eq!(wait(&open(Duration::from_millis(2_001))).unwrap(), "3");
        assert_eq!(wait(&open(Duration::ZERO)).unwrap(), "1");
        assert_eq!(wait(&Problem::Loop), None);
    }

    #[test]
    fn the_client_of_a_limit_sees_where_it_stands() {
        let response = answer(&Problem::RateLimited(refused()), Wants::Document);
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("ratelimit-limit"), "100");
        assert_eq!(header("ratelimit-remaining"), "0");
        assert_eq!(header("ratelimit-reset"), "12");
    }

    #[tokio::test]
    async fn a_page_says_the_same_and_loads_nothing() {
        let response = answer(&Problem::Host("<script>alert(1)</script>"), Wants::Page);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        assert!(
            response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("default-src 'none'")
        );
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let page = std::str::from_utf8(&body).unwrap();
        for part in ["400", "Bad Request", "&lt;script&gt;", "id-1", "host_invalid"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        for part in ["<script", "src=", "href=", "url("] {
            assert!(!page.contains(part), "{part}: {page}");
        }
    }
}
