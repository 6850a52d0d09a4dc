//! Pages of other origins, and what a route allows them: the server's side of the CORS protocol
//! (Fetch standard, section 3.3). Pure.
//!
//! It refuses nothing: what is not allowed is not said to be, and the browser keeps it from the page.
//! Where a route has such a policy, it speaks for the service: what the service says itself is taken
//! out. Preflights are answered before anybody asks who calls, since they carry no credentials.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderName, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};

use super::body::Body;
use super::headers::has_token;
use crate::model::traffic::{Cors, Origins};

const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// The method that a preflight asks for; `None` for any other request.
pub(super) fn preflighted<B>(request: &Request<B>) -> Option<Method> {
    if request.method() != Method::OPTIONS || !request.headers().contains_key(ORIGIN) {
        return None;
    }
    Method::from_bytes(request.headers().get(ACCESS_CONTROL_REQUEST_METHOD)?.as_bytes()).ok()
}

/// The answer to a preflight for a route that takes `method`.
pub(super) fn preflight(cors: &Cors, asked: &HeaderMap, method: &Method) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    add_vary(headers, &ACCESS_CONTROL_REQUEST_METHOD);
    add_vary(headers, &ACCESS_CONTROL_REQUEST_HEADERS);
    if allow_origin(cors, asked.get(ORIGIN), headers) {
        insert(headers, ACCESS_CONTROL_ALLOW_METHODS, method.as_str());
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(cors.max_age.as_secs()));
        if let Some(wanted) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed_headers(cors, wanted));
        }
    }
    response
}

/// Says in any other response what pages may do with it.
pub(super) fn decorate(cors: &Cors, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
    for name in [
        ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_ALLOW_CREDENTIALS,
        ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_EXPOSE_HEADERS,
        ACCESS_CONTROL_MAX_AGE,
        ALLOW_PRIVATE_NETWORK,
    ] {
        headers.remove(name);
    }
    if allow_origin(cors, origin, headers) && !cors.expose.is_empty() {
        insert(headers, ACCESS_CONTROL_EXPOSE_HEADERS, &joined(&cors.expose));
    }
}

/// Adds `name` to `Vary`, unless it is there.
pub(super) fn add_vary(headers: &mut HeaderMap, name: &HeaderName) {
    if !has_token(headers, &VARY, name.as_str()) && !has_token(headers, &VARY, "*") {
        headers.append(VARY, HeaderValue::from_name(name.clone()));
    }
}

/// Whether `origin` may. A response that depends on it says so, even to those who sent none: caches
/// must not hand it on to somebody who does.
fn allow_origin(cors: &Cors, origin: Option<&HeaderValue>, headers: &mut HeaderMap) -> bool {
    let origins = match &cors.origins {
        Origins::Any => {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            return true;
        }
        Origins::Only(origins) => origins,
    };
    add_vary(headers, &ORIGIN);
    let origin = origin.filter(|origin| origin.to_str().is_ok_and(|origin| origins.contains(origin)));
    let Some(origin) = origin else { return false };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    if cors.credentials {
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    true
}

fn allowed_headers(cors: &Cors, wanted: &HeaderValue) -> HeaderValue {
    if cors.headers.is_empty() {
        return wanted.clone();
    }
    HeaderValue::from_str(&joined(&cors.headers)).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn joined<'n>(names: impl IntoIterator<Item = &'n String>) -> String {
    names.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // Tokens, all of them.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::time::Duration;

    use http::Request;

    const SHOP: &str = "https://shop.example";

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn only_shop() -> Cors {
        Cors {
            origins: Origins::Only(set(&[SHOP])),
            headers: set(&["x-api-key", "authorization"]),
            expose: set(&["x-total"]),
            credentials: true,
            max_age: Duration::from_secs(60),
        }
    }

    fn anybody() -> Cors {
        Cors { origins: Origins::Any, headers: BTreeSet::new(), expose: BTreeSet::new(), ..only_shop() }
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    /// The headers as sorted lines.
    fn show(headers: &HeaderMap) -> Vec<String> {
        let line =
            |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
        let mut lines: Vec<String> = headers.iter().map(line).collect();
        lines.sort();
        lines.iter().map(|line| line.replace("access-control-", "ac-")).collect()
    }

    fn check_preflight(cors: &Cors, origin: &str, wanted: Option<&str>, expected: &[&str]) {
        let mut asked = headers(&[("origin", origin), ("access-control-request-method", "PUT")]);
        if let Some(wanted) = wanted {
            asked.insert(ACCESS_CONTROL_REQUEST_HEADERS, wanted.parse().unwrap());
        }
        asked.insert("access-control-request-private-network", HeaderValue::from_static("true"));
        let response = preflight(cors, &asked, &Method::PUT);
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(show(response.headers()), expected, "{origin} {wanted:?}");
    }

    #[test]
    fn a_preflight_of_an_allowed_origin_is_told_what_it_may() {
        check_preflight(
            &only_shop(),
            SHOP,
            Some("x-api-key"),
            &[
                "ac-allow-credentials: true",
                "ac-allow-headers: authorization, x-api-key",
                "ac-allow-methods: PUT",
                "ac-allow-origin: https://shop.example",
                "ac-max-age: 60",
                "vary: ac-request-headers",
                "vary: ac-request-method",
                "vary: origin",
            ],
        );
    }

    #[test]
    fn a_preflight_of_any_origin_gets_no_credentials_and_the_headers_it_wants() {
        check_preflight(
            &anybody(),
            "https://a.example",
            Some("x-one,x-two"),
            &[
                "ac-allow-headers: x-one,x-two",
                "ac-allow-methods: PUT",
                "ac-allow-origin: *",
                "ac-max-age: 60",
                "vary: ac-request-headers",
                "vary: ac-request-method",
            ],
        );
    }

    #[test]
    fn an_origin_that_is_not_allowed_is_told_nothing() {
        let nothing = ["vary: ac-request-headers", "vary: ac-request-method", "vary: origin"];
        for origin in [
            "https://evil.example",
            "null",
            "http://shop.example",
            "https://shop.example.evil",
            "https://SHOP.example",
            "",
        ] {
            check_preflight(&only_shop(), origin, None, &nothing);
        }
    }

    fn check_response(cors: &Cors, origin: Option<&str>, own: &[(&'static str, &str)], expected: &[&str]) {
        let mut found = headers(own);
        let origin = origin.map(|origin| origin.parse().unwrap());
        decorate(cors, origin.as_ref(), &mut found);
        assert_eq!(show(&found), expected, "{origin:?} {own:?}");
    }

    #[test]
    fn a_response_says_what_the_page_may_read() {
        let shop = [
            "ac-allow-credentials: true",
            "ac-allow-origin: https://shop.example",
            "ac-expose-headers: x-total",
            "vary: origin",
        ];
        check_response(&only_shop(), Some(SHOP), &[], &shop);
        check_response(&only_shop(), Some("https://evil.example"), &[], &["vary: origin"]);
        check_response(&only_shop(), None, &[], &["vary: origin"]);
        check_response(&anybody(), Some("null"), &[], &["ac-allow-origin: *"]);
        check_response(&anybody(), None, &[], &["ac-allow-origin: *"]);
    }

    #[test]
    fn the_route_speaks_for_the_service() {
        let own = [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-private-network", "true"),
            ("access-control-expose-headers", "x-secret"),
            ("vary", "Accept, Origin"),
            ("x-total", "3"),
        ];
        check_response(
            &only_shop(),
            Some("https://evil.example"),
            &own,
            &["vary: Accept, Origin", "x-total: 3"],
        );
        check_response(&only_shop(), None, &[("vary", "*")], &["vary: *"]);
    }

    #[test]
    fn only_options_with_an_origin_and_a_method_is_a_preflight() {
        let preflighted = |method: &str, lines: &[(&'static str, &str)]| {
            let mut request = Request::builder().method(method).body(()).unwrap();
            *request.headers_mut() = headers(lines);
            super::preflighted(&request)
        };
        let (origin, asked) = (("origin", SHOP), ("access-control-request-method", "PUT"));
        assert_eq!(preflighted("OPTIONS", &[origin, asked]), Some(Method::PUT));
        assert_eq!(preflighted("OPTIONS", &[origin]), None);
        assert_eq!(preflighted("OPTIONS", &[asked]), None);
        assert_eq!(preflighted("OPTIONS", &[origin, ("access-control-request-method", "a b")]), None);
        assert_eq!(preflighted("GET", &[origin, asked]), None);
    }
}
