//! Who calls, and whether the route is open to them. Pure, but for the verifier and the counters it is
//! given.
//!
//! A token comes in `Authorization: Bearer` or, from a browser, in the cookie `access_token`. The
//! cookie counts only when the request was made by a page of the same site: a browser sends it along
//! with requests that other sites make, too.

use std::time::SystemTime;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, ORIGIN};

use super::headers::X_SERVICE_TOKEN;
use super::message::Authority;
use super::metrics::TokenStats;
use super::policy::canary::cookies;
use super::problem::Problem;
use crate::model::name::ServiceName;
use crate::model::principal::{Principal, TokenRejection, TokenVerifier};
use crate::model::route::{Access, Scope};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const TOKEN_COOKIE: &str = "access_token";

/// What the subject of a service's own token begins with.
const SERVICE_SUBJECT: &str = "service:";

/// What a request offers as proof of who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credential<'r> {
    None,
    Token(&'r str),
    /// More than one, and nobody can say which is meant.
    Several,
}

/// Looks at tokens, and counts what comes of it.
#[derive(Clone, Copy)]
pub(super) struct Tokens<'g> {
    pub(super) verifier: &'g dyn TokenVerifier,
    pub(super) stats: &'g TokenStats,
}

impl Tokens<'_> {
    fn verify(self, token: &str) -> Result<Principal, Problem> {
        let (found, source) = self.verifier.recall(token, SystemTime::now());
        self.stats.count(found.is_ok(), source);
        found.map_err(Problem::TokenRejected)
    }
}

/// What a client offers: the header, or else the cookie.
pub(super) fn credential<'r>(headers: &'r HeaderMap, authority: &Authority) -> Credential<'r> {
    let cookie_counts = || !headers.contains_key(AUTHORIZATION) && is_same_site(headers, authority);
    match header_credential(headers) {
        Credential::None if cookie_counts() => cookie(headers),
        found => found,
    }
}

/// What a service hands on of its own caller: never a cookie.
pub(super) fn header_credential(headers: &HeaderMap) -> Credential<'_> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Credential::None,
        (Some(line), None) => line.to_str().ok().and_then(bearer).map_or(Credential::None, Credential::Token),
        (Some(_), Some(_)) => Credential::Several,
    }
}

/// The caller of a route, if it is open to them. On a public route a token is optional, and one
/// that is not accepted makes the caller nobody.
pub(super) fn admit(
    access: &Access,
    credential: Credential<'_>,
    tokens: Tokens<'_>,
) -> Result<Option<Principal>, Problem> {
    let proven = verify(credential, tokens).and_then(refuse_services);
    let needed = match access {
        Access::Public => return Ok(proven.unwrap_or(None)),
        Access::Authenticated => None,
        Access::Scopes(scopes) => Some(scopes),
    };
    let principal = proven?.ok_or(Problem::TokenMissing)?;
    match needed {
        Some(scopes) if !scopes.is_subset(&principal.scopes) => {
            let needed = scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ");
            Err(Problem::ScopeMissing { needed })
        }
        _ => Ok(Some(principal)),
    }
}

/// A service's own token is for the inside doors alone: out here it would get past `calls`.
fn refuse_services(principal: Option<Principal>) -> Result<Option<Principal>, Problem> {
    match principal {
        Some(principal) if principal.subject.starts_with(SERVICE_SUBJECT) => {
            Err(Problem::TokenRejected(TokenRejection::WrongParty))
        }
        principal => Ok(principal),
    }
}

/// The caller, or nobody without a token.
pub(super) fn verify(credential: Credential<'_>, tokens: Tokens<'_>) -> Result<Option<Principal>, Problem> {
    match credential {
        Credential::None => Ok(None),
        Credential::Several => Err(Problem::TokensSeveral),
        Credential::Token(token) => tokens.verify(token).map(Some),
    }
}

/// The service that a service token was issued to.
pub(super) fn service_of_token(
    headers: &HeaderMap,
    tokens: Tokens<'_>,
) -> Result<Option<ServiceName>, Problem> {
    let Some(token) = headers.get(X_SERVICE_TOKEN) else { return Ok(None) };
    let token = token.to_str().map_err(|_| Problem::TokenRejected(TokenRejection::Malformed))?;
    let principal = tokens.verify(token)?;
    let name = principal.subject.strip_prefix(SERVICE_SUBJECT).and_then(|name| name.parse().ok());
    name.map(Some).ok_or(Problem::TokenRejected(TokenRejection::Claims))
}

/// Whether a web page made the request. None has any business at an inside door, and a local port is
/// within reach of all of them.
pub(super) fn is_from_a_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(SEC_FETCH_SITE) || headers.contains_key(ORIGIN)
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

/// What the browser says about who made the request. Without a word from it there was no browser,
/// or an old one that still names the origin of whatever could do harm.
fn is_same_site(headers: &HeaderMap, authority: &Authority) -> bool {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return matches!(site.as_bytes(), b"same-origin" | b"same-site" | b"none");
    }
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let host = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    host.is_some_and(|host| host.as_bytes().eq_ignore_ascii_case(authority.value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use std::collections::BTreeSet;

    /// Accepts `subject scope scope`.
    struct Plain;

    impl TokenVerifier for Plain {
        fn verify(&self, token: &str, _: SystemTime) -> Result<Principal, TokenRejection> {
            let mut words = token.split('.');
            let subject =
                words.next().filter(|subject| *subject != "bad").ok_or(TokenRejection::Signature)?;
            let scopes: BTreeSet<Scope> = words.map(|scope| scope.parse().unwrap()).collect();
            Ok(Principal { subject: subject.to_owned(), scopes, expires_at: SystemTime::UNIX_EPOCH })
        }
    }

    fn check_credential(lines: &[(&'static str, &str)], expected: Credential<'_>) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let authority = Authority { value: HeaderValue::from_static("store.localhost:8080") };
        assert_eq!(credential(&headers, &authority), expected, "{lines:?}");
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
    fn a_services_own_token_opens_no_public_route() {
        check_admission(&Access::Authenticated, Credential::Token("service:order"), "token_rejected");
        check_admission(&Access::Public, Credential::Token("service:order"), "anybody");
    }

    #[test]
    fn what_a_web_page_sends_is_known_by_its_headers() {
        let mut headers = HeaderMap::new();
        assert!(!is_from_a_browser(&headers));
        headers.insert(ORIGIN, HeaderValue::from_static("http://evil.example"));
        assert!(is_from_a_browser(&headers));
    }

    fn check_admission(access: &Access, credential: Credential<'_>, expected: &str) {
        let tokens = Tokens { verifier: &Plain, stats: &TokenStats::default() };
        let found = match admit(access, credential, tokens) {
            Ok(principal) => principal.map_or("anybody".to_owned(), |p| p.subject),
            Err(problem) => problem.code().to_owned(),
        };
        assert_eq!(found, expected, "{access} {credential:?}");
    }

    #[test]
    fn each_access_rule_lets_in_whom_it_says() {
        let scopes = Access::Scopes(BTreeSet::from(["w".parse().unwrap(), "r".parse().unwrap()]));
        check_admission(&Access::Public, Credential::None, "anybody");
        check_admission(&Access::Public, Credential::Token("ann"), "ann");
        check_admission(&Access::Public, Credential::Token("bad"), "anybody");
        check_admission(&Access::Authenticated, Credential::None, "token_missing");
        check_admission(&Access::Authenticated, Credential::Token("bad"), "token_rejected");
        check_admission(&Access::Authenticated, Credential::Several, "token_ambiguous");
        check_admission(&Access::Authenticated, Credential::Token("ann"), "ann");
        check_admission(&scopes, Credential::Token("ann"), "scope_missing");
        check_admission(&scopes, Credential::Token("ann.w"), "scope_missing");
        check_admission(&scopes, Credential::Token("ann.w.r.x"), "ann");
    }
}
