//! Where a request carries its access token: the `Authorization` header, else one cookie.
//!
//! Never the query: addresses end up in logs and histories.

use axum::http::{HeaderMap, HeaderName, header};

use crate::auth::accounts::Tokens;
use crate::auth::problem::Problem;
use crate::model::cookie;
use crate::store::Secret;

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const COOKIE: &str = "access_token";
const ATTRIBUTES: &str = "HttpOnly; SameSite=Lax; Path=/";

/// The one token of a request. Two are an error, not a choice: whoever could plant a second cookie
/// would otherwise decide who the caller is.
pub fn access_token(headers: &HeaderMap) -> Result<Secret, Problem> {
    let mut bearers = headers.get_all(header::AUTHORIZATION).into_iter();
    let found = match bearers.next() {
        Some(value) => bearer(value.as_bytes()).filter(|_| bearers.next().is_none()),
        None => cookie(headers)?,
    };
    found.map(Secret::new).ok_or_else(ambiguous)
}

/// `Max-Age` is the access token's own lifetime. `headers` are those of the request that it answers.
pub fn remember_cookie(tokens: &Tokens, headers: &HeaderMap) -> String {
    let (token, lifetime) = (tokens.access.expose(), tokens.expires_in.as_secs());
    format!("{COOKIE}={token}; Max-Age={lifetime}; {ATTRIBUTES}{}", security(headers))
}

pub fn forget_cookie(headers: &HeaderMap) -> String {
    format!("{COOKIE}=; Max-Age=0; {ATTRIBUTES}{}", security(headers))
}

/// A cookie that was given by TLS is never sent in clear. One that was given in clear has to be, since
/// there may be no TLS at all.
fn security(headers: &HeaderMap) -> &'static str {
    if headers.get(FORWARDED_PROTO).is_some_and(|proto| proto == "https") { "; Secure" } else { "" }
}

fn bearer(value: &[u8]) -> Option<&str> {
    let (scheme, token) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// The cookie's value, `None` when it is not text or there are two; no cookie at all is an error of
/// its own.
fn cookie(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let pairs = headers.get_all(header::COOKIE).iter().flat_map(|field| cookie::pairs(field.as_bytes()));
    let mut values = pairs.filter(|(name, _)| *name == COOKIE.as_bytes()).map(|(_, value)| value);
    let first = values.next().ok_or_else(missing)?;
    Ok(std::str::from_utf8(first).ok().filter(|_| values.next().is_none()))
}

fn missing() -> Problem {
    let detail = "send an access token as Authorization: Bearer …, or log in for a cookie";
    Problem::unauthorized("missing-token", "Bearer", detail)
}

fn ambiguous() -> Problem {
    Problem::invalid_token("the request carries more than one access token, or none that can be read")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn check(lines: &[(HeaderName, &[u8])], expected: Result<&str, &str>) {
        let headers: HeaderMap = lines
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_bytes(value).unwrap()))
            .collect();
        let found = access_token(&headers);
        let found = found.as_ref().map(Secret::expose).map_err(|problem| problem.code);
        assert_eq!(found, expected, "{headers:?}");
    }

    #[test]
    fn the_header_wins_over_the_cookie() {
        check(&[(header::AUTHORIZATION, b"Bearer a.b.c"), (header::COOKIE, b"access_token=d")], Ok("a.b.c"));
        check(&[(header::AUTHORIZATION, b"bearer a.b.c")], Ok("a.b.c"));
        check(&[(header::COOKIE, b"x=1; access_token=a.b.c; y=2")], Ok("a.b.c"));
    }

    #[test]
    fn two_tokens_are_refused_whatever_their_order() {
        check(&[(header::COOKIE, b"access_token=a; access_token=b")], Err("invalid-token"));
        check(
            &[(header::COOKIE, b"access_token=a"), (header::COOKIE, b"access_token=a")],
            Err("invalid-token"),
        );
        let bearer = (header::AUTHORIZATION, b"Bearer a".as_slice());
        check(&[bearer.clone(), bearer], Err("invalid-token"));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        check(&[], Err("missing-token"));
        check(&[(header::COOKIE, b"my_access_token=a")], Err("missing-token"));
        check(&[(header::AUTHORIZATION, b"Basic abc")], Err("invalid-token"));
        check(&[(header::AUTHORIZATION, b"Bearer")], Err("invalid-token"));
        check(&[(header::AUTHORIZATION, b"Bearer \xff\xfe")], Err("invalid-token"));
        check(&[(header::COOKIE, b"access_token=\xff")], Err("invalid-token"));
    }
}
