//! The token that a request offers, and whether that of its cookie counts. Pure.
//!
//! A token comes in `Authorization: Bearer` or, from a browser, in the cookie `access_token`. The
//! cookie counts only when the request was made by a page of this origin, or of one that the route
//! names: a browser sends it along with requests that other pages make, too. To a browser everything
//! on one host name is the same site, whatever the port, so that alone is not enough.

use http::header::{AUTHORIZATION, COOKIE, HeaderName, ORIGIN};
use http::{HeaderMap, HeaderValue, Method};

use super::message::Authority;
use super::policy::canary::cookies;
use crate::model::traffic::{Cors, Origins};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const TOKEN_COOKIE: &str = "access_token";

/// What a request offers as proof of who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credential<'r> {
    None,
    Token(&'r str),
    /// More than one, and nobody can say which is meant.
    Several,
}

/// What a request is, as far as it matters to whether its cookie counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Made<'r> {
    pub(super) headers: &'r HeaderMap,
    pub(super) method: &'r Method,
    pub(super) authority: &'r Authority,
    /// That of the route.
    pub(super) cors: Option<&'r Cors>,
}

/// What a client offers: the header, or else the cookie.
pub(super) fn of(made: Made<'_>) -> Credential<'_> {
    let headers = made.headers;
    let cookie_counts = || !headers.contains_key(AUTHORIZATION) && made.is_of_our_pages();
    match of_header(headers) {
        Credential::None if cookie_counts() => cookie(headers),
        found => found,
    }
}

/// Takes every token of the caller out, wherever one may be.
pub(super) fn withhold(headers: &mut HeaderMap) {
    headers.remove(AUTHORIZATION);
    if !headers.contains_key(COOKIE) {
        return;
    }
    let kept: Vec<HeaderValue> = headers.get_all(COOKIE).iter().filter_map(without_token).collect();
    headers.remove(COOKIE);
    for line in kept {
        headers.append(COOKIE, line);
    }
}

/// What a service hands on of its own caller: never a cookie.
pub(super) fn of_header(headers: &HeaderMap) -> Credential<'_> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Credential::None,
        (Some(line), None) => line.to_str().ok().and_then(bearer).map_or(Credential::None, Credential::Token),
        (Some(_), Some(_)) => Credential::Several,
    }
}

/// Whether a web page made the request. None has any business at an inside door, and a local port is
/// within reach of all of them.
pub(super) fn is_from_a_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(SEC_FETCH_SITE) || headers.contains_key(ORIGIN)
}

impl Made<'_> {
    /// What the browser says about who made the request. Without a word from it there was no browser,
    /// or an old one that still names the origin of whatever could do harm.
    fn is_of_our_pages(&self) -> bool {
        let origin = self.headers.get(ORIGIN);
        match self.headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes) {
            Some(b"same-origin" | b"none") => true,
            // Another port of this host, or a host beside it. Links from there are followed; what
            // changes something or is read by the page (a WebSocket, too) comes with its origin.
            Some(b"same-site") => {
                origin.map_or(self.method.is_safe(), |origin| self.is_own(origin) || self.is_named(origin))
            }
            Some(_) => false,
            None => origin.is_none_or(|origin| self.is_own(origin)),
        }
    }

    fn is_own(&self, origin: &HeaderValue) -> bool {
        let host = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
        host.is_some_and(|host| host.as_bytes().eq_ignore_ascii_case(self.authority.value.as_bytes()))
    }

    /// Whether the route lets pages of this origin send cookies.
    fn is_named(&self, origin: &HeaderValue) -> bool {
        let named = self.cors.filter(|cors| cors.credentials).map(|cors| &cors.origins);
        matches!((named, origin.to_str()), (Some(Origins::Only(origins)), Ok(origin)) if origins.contains(origin))
    }
}

/// RFC 6750, section 2.1; the scheme in any case (RFC 9110, section 11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn cookie(headers: &HeaderMap) -> Credential<'_> {
    let mut tokens = cookies(headers).filter(|(name, _)| *name == TOKEN_COOKIE).map(|(_, value)| value);
    match (tokens.next(), tokens.next()) {
        (None, _) => Credential::None,
        (Some(token), None) => Credential::Token(token),
        (Some(_), Some(_)) => Credential::Several,
    }
}

/// What else there is in a line of `Cookie`. Services are less strict than we are about what is around
/// a name.
fn without_token(line: &HeaderValue) -> Option<HeaderValue> {
    let is_token = |crumb: &[u8]| {
        let name = crumb.split(|&b| b == b'=').next().map(<[u8]>::trim_ascii);
        name == Some(TOKEN_COOKIE.as_bytes())
    };
    let crumbs = line.as_bytes().split(|&b| b == b';');
    if !crumbs.clone().any(is_token) {
        return Some(line.clone());
    }
    let others: Vec<&[u8]> = crumbs.filter(|crumb| !is_token(crumb)).map(<[u8]>::trim_ascii).collect();
    HeaderValue::from_bytes(&others.join(&b"; "[..])).ok().filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::time::Duration;

    fn check_credential(lines: &[(&'static str, &str)], expected: Credential<'_>) {
        for method in [Method::GET, Method::POST] {
            check_credential_of(&method, lines, expected);
        }
    }

    fn check_credential_of(method: &Method, lines: &[(&'static str, &str)], expected: Credential<'_>) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let authority = &Authority { value: HeaderValue::from_static("store.localhost:8080") };
        let cors = Cors {
            origins: Origins::Only(BTreeSet::from(["http://shop.localhost:3000".to_owned()])),
            headers: BTreeSet::new(),
            expose: BTreeSet::new(),
            credentials: true,
            max_age: Duration::ZERO,
        };
        let made = Made { headers: &headers, method, authority, cors: Some(&cors) };
        assert_eq!(of(made), expected, "{method} {lines:?}");
    }

    #[test]
    fn a_token_comes_in_the_header_or_in_the_cookie() {
        check_credential(&[], Credential::None);
        check_credential(&[("authorization", "Bearer abc")], Credential::Token("abc"));
        check_credential(&[("authorization", "bearer  abc")], Credential::Token("abc"));
        check_credential(&[("authorization", "Basic abc")], Credential::None);
        check_credential(&[("cookie", "a=b; access_token=abc")], Credential::Token("abc"));
        let both = [("authorization", "Bearer abc"), ("cookie", "access_token=other")];
        check_credential(&both, Credential::Token("abc"));
    }

    #[test]
    fn of_two_tokens_none_is_chosen() {
        check_credential(
            &[("authorization", "Bearer a"), ("authorization", "Bearer b")],
            Credential::Several,
        );
        check_credential(&[("cookie", "access_token=a; access_token=b")], Credential::Several);
        check_credential(&[("cookie", "access_token=a"), ("cookie", "access_token=b")], Credential::Several);
    }

    #[test]
    fn the_cookie_counts_only_for_requests_of_the_same_site() {
        let cookie = ("cookie", "access_token=abc");
        for (name, value, counts) in [
            ("sec-fetch-site", "same-origin", true),
            ("sec-fetch-site", "none", true),
            ("sec-fetch-site", "cross-site", false),
            ("sec-fetch-site", "anything", false),
            ("origin", "http://store.localhost:8080", true),
            ("origin", "http://evil.example", false),
            ("origin", "null", false),
        ] {
            let expected = if counts { Credential::Token("abc") } else { Credential::None };
            check_credential(&[cookie, (name, value)], expected);
        }
    }

    #[test]
    fn what_is_withheld_is_every_token_and_nothing_else() {
        for (lines, expected) in [
            (&["a=b"][..], &["a=b"][..]),
            (&["access_token=x"], &[]),
            (&["a=b; access_token=x; c=d"], &["a=b; c=d"]),
            (&["access_token=x;a=b", "c=d", "access_token=y"], &["a=b", "c=d"]),
            (&["a=b;  access_token = x;access_token"], &["a=b"]),
            (
                &["my_access_token=x; access_token2=y; a=access_token=x"],
                &["my_access_token=x; access_token2=y; a=access_token=x"],
            ),
            (&["a=\u{e9}; access_token=x"], &["a=\u{e9}"]),
        ] {
            let mut headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer x"))]);
            for line in lines {
                headers.append(COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
            }
            withhold(&mut headers);
            assert!(!headers.contains_key(AUTHORIZATION));
            let left: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
            assert_eq!(left, expected.iter().map(|line| line.as_bytes()).collect::<Vec<_>>(), "{lines:?}");
        }
    }

    #[test]
    fn another_port_of_this_host_is_another_origin() {
        let (cookie, site) = (("cookie", "access_token=abc"), ("sec-fetch-site", "same-site"));
        let token = Credential::Token("abc");
        check_credential_of(&Method::GET, &[cookie, site], token);
        check_credential_of(&Method::HEAD, &[cookie, site], token);
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            check_credential_of(&method, &[cookie, site], Credential::None);
        }
        for (origin, expected) in [
            ("http://store.localhost:8080", token),
            ("http://store.localhost:3000", Credential::None),
            ("http://store.localhost", Credential::None),
            ("null", Credential::None),
            // The route names it.
            ("http://shop.localhost:3000", token),
        ] {
            check_credential(&[cookie, site, ("origin", origin)], expected);
        }
        let elsewhere = [cookie, ("sec-fetch-site", "cross-site"), ("origin", "http://shop.localhost:3000")];
        check_credential(&elsewhere, Credential::None);
    }

    #[test]
    fn what_a_web_page_sends_is_known_by_its_headers() {
        let mut headers = HeaderMap::new();
        assert!(!is_from_a_browser(&headers));
        headers.insert(ORIGIN, HeaderValue::from_static("http://evil.example"));
        assert!(is_from_a_browser(&headers));
    }
}
