//! What of a head is passed on, what is taken out, and what the gateway says itself.
//!
//! The order matters: hop-by-hop headers go first, then everything that only the gateway may say,
//! then the gateway's own. So nothing that a client sends can remove or forge what follows.

use std::net::IpAddr;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderName, TRAILER,
    TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderValue};

use super::message::Authority;
use crate::model::name::ServiceName;
use crate::model::principal::Principal;
use crate::model::route::Scope;

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(super) const X_SERVICE_TOKEN: HeaderName = HeaderName::from_static("x-service-token");
const X_USER_ID: HeaderName = HeaderName::from_static("x-user-id");
const X_USER_SCOPES: HeaderName = HeaderName::from_static("x-user-scopes");
const X_CALLER_SERVICE: HeaderName = HeaderName::from_static("x-caller-service");
pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
pub(super) const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
pub(super) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const X_MSCTL_HOPS: HeaderName = HeaderName::from_static("x-msctl-hops");

/// How many gateways a request passes at most: more of them are the same one, again and again.
const MAX_HOPS: u8 = 5;

/// Names that only the gateway says, with everything that continues them after a hyphen. `_`
/// counts as a hyphen, since many services cannot tell the two apart.
const OURS: [&str; 9] = [
    "x-user",
    "x-auth",
    "x-scopes",
    "x-caller-service",
    "x-service-token",
    "x-forwarded",
    "x-real-ip",
    "x-msctl",
    "forwarded",
];

/// What concerns one connection alone, with what `Connection` names.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// End-to-end headers that `Connection` may not take out.
const KEPT: [&str; 7] =
    ["authorization", "content-length", "content-type", "cookie", "host", "set-cookie", "x-request-id"];

/// Removes what concerns one connection alone (RFC 9110, section 7.6.1).
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        for name in named_by_connection(headers) {
            headers.remove(name);
        }
    }
    // With both, the transfer coding is what counted (RFC 9112, section 6.3).
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    // A head has few of them or none: a look at each name costs less than a search for every one.
    while let Some(name) = headers.keys().find(|name| HOP_BY_HOP.contains(&name.as_str())).cloned() {
        headers.remove(name);
    }
}

/// Says a length without the zeros that may stand in front of it: some read those as octal.
pub(super) fn write_length_plainly(headers: &mut HeaderMap) {
    let padded = |length: &HeaderValue| length.len() > 1 && length.as_bytes()[0] == b'0';
    if let Some(length) = headers.get_mut(CONTENT_LENGTH).filter(|length| padded(length)) {
        let digits = length.to_str().ok().and_then(|digits| digits.parse::<u64>().ok());
        *length = digits.map_or_else(|| length.clone(), HeaderValue::from);
    }
}

/// How many gateways a request has passed, with this one. `None` when that is more than a request
/// which is on its way to somewhere ever passes. Whoever forges the number harms only their own request.
pub(super) fn next_hop(headers: &HeaderMap) -> Option<u8> {
    let passed = headers.get(X_MSCTL_HOPS).and_then(|hops| hops.to_str().ok()?.parse().ok()).unwrap_or(0_u8);
    (passed < MAX_HOPS).then(|| passed + 1)
}

pub(super) fn set_hops(headers: &mut HeaderMap, hops: u8) {
    let value = match hops {
        // Nearly always.
        1 => HeaderValue::from_static("1"),
        hops => HeaderValue::from(u16::from(hops)),
    };
    headers.insert(X_MSCTL_HOPS, value);
}

/// Removes from trailers what services may take for part of the head, and only a head may say
/// (RFC 9110, section 6.5.1).
pub(super) fn remove_from_trailers(trailers: &mut HeaderMap) {
    remove_hop_by_hop(trailers);
    remove_forged(trailers);
    for name in [AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, TRAILER, X_REQUEST_ID] {
        trailers.remove(name);
    }
}

/// Removes what only the gateway may say, in any spelling.
pub(super) fn remove_forged(headers: &mut HeaderMap) {
    let forged: Vec<HeaderName> = headers.keys().filter(|name| is_ours(name.as_str())).cloned().collect();
    for name in forged {
        headers.remove(name);
    }
}

/// Where a request came from, as told to the service.
#[derive(Debug)]
pub(super) struct Origin<'r> {
    pub(super) client: HeaderValue,
    pub(super) scheme: &'static str,
    pub(super) authority: &'r Authority,
    pub(super) request_id: &'r HeaderValue,
    /// What was cut off the path.
    pub(super) prefix: Option<&'r HeaderValue>,
}

/// An address as services are told it.
pub(super) fn address(client: IpAddr) -> HeaderValue {
    text(&client.to_canonical().to_string())
}

pub(super) fn set_origin(headers: &mut HeaderMap, origin: Origin<'_>) {
    headers.insert(HOST, origin.authority.value.clone());
    headers.insert(X_REQUEST_ID, origin.request_id.clone());
    headers.insert(X_REAL_IP, origin.client.clone());
    headers.insert(X_FORWARDED_FOR, origin.client);
    headers.insert(X_FORWARDED_PORT, port_of(&origin.authority.value, origin.scheme));
    headers.insert(X_FORWARDED_HOST, origin.authority.value.clone());
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(origin.scheme));
    if let Some(prefix) = origin.prefix {
        headers.insert(X_FORWARDED_PREFIX, prefix.clone());
    }
}

/// The port of the URL that a client used: where `host` names none, that of the scheme.
pub(super) fn port_of(host: &HeaderValue, scheme: &str) -> HeaderValue {
    let port = host.to_str().ok().and_then(|host| host.rsplit_once(':')).map(|(_, port)| port);
    let is_port = |port: &&str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    match (port.filter(is_port), scheme) {
        (Some(port), _) => text(port),
        (None, "https") => HeaderValue::from_static("443"),
        (None, _) => HeaderValue::from_static("80"),
    }
}

pub(super) fn set_identity(
    headers: &mut HeaderMap,
    principal: Option<&Principal>,
    caller: Option<&ServiceName>,
) {
    if let Some(principal) = principal {
        let scopes: Vec<&str> = principal.scopes.iter().map(Scope::as_str).collect();
        headers.insert(X_USER_ID, text(&principal.subject));
        headers.insert(X_USER_SCOPES, text(&scopes.join(" ")));
    }
    if let Some(caller) = caller {
        headers.insert(X_CALLER_SERVICE, text(caller.as_str()));
    }
}

/// Whether `header` has `token` among its comma-separated values, in any case.
pub(super) fn has_token(headers: &HeaderMap, header: &HeaderName, token: &str) -> bool {
    tokens(headers, header).any(|found| found.eq_ignore_ascii_case(token))
}

fn tokens<'h>(headers: &'h HeaderMap, header: &HeaderName) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(header).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let names = tokens(headers, &CONNECTION).filter_map(|token| token.parse::<HeaderName>().ok());
    names.filter(|name| !KEPT.contains(&name.as_str())).collect()
}

fn is_ours(name: &str) -> bool {
    // Nearly every header is none of ours by its first letter.
    matches!(name.as_bytes().first(), Some(b'x' | b'f')) && OURS.iter().any(|ours| continues(name, ours))
}

fn continues(name: &str, ours: &str) -> bool {
    let (name, ours) = (name.as_bytes(), ours.as_bytes());
    let hyphen = |b: u8| if b == b'_' { b'-' } else { b };
    name.len() >= ours.len()
        && name.iter().zip(ours).all(|(&a, &b)| hyphen(a) == b)
        && name.get(ours.len()).is_none_or(|&next| hyphen(next) == b'-')
}

/// A subject with characters that no header may carry is told as nothing rather than as something
/// else.
pub(super) fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let parse =
            |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in lines.iter().map(parse) {
            headers.append(name, value);
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn hop_by_hop_headers_and_those_that_connection_names_are_removed() {
        let mut found = headers(&[
            ("connection", "close, X-Secret"),
            ("connection", "x-other"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic x"),
            ("proxy-connection", "keep-alive"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("x-secret", "1"),
            ("x-other", "1"),
            ("accept", "*/*"),
            ("trailer", "x-sum"),
        ]);
        remove_hop_by_hop(&mut found);
        assert_eq!(names(&found), ["accept", "trailer"]);
    }

    #[test]
    fn a_padded_length_is_said_plainly() {
        let mut found = headers(&[("content-length", "003")]);
        write_length_plainly(&mut found);
        assert_eq!(found, headers(&[("content-length", "3")]));
    }

    #[test]
    fn the_sixth_gateway_is_one_too_many() {
        let next = |hops: &str| next_hop(&headers(&[("x-msctl-hops", hops)]));
        assert_eq!(next_hop(&HeaderMap::new()), Some(1));
        assert_eq!((next("1"), next("4"), next("5"), next("255")), (Some(2), Some(5), None, None));
        assert_eq!((next("-1"), next("many"), next("1000")), (Some(1), Some(1), Some(1)));
    }

    #[test]
    fn a_url_without_a_port_has_that_of_its_scheme() {
        for (host, scheme, expected) in [
            ("a.example", "http", "80"),
            ("a.example", "https", "443"),
            ("a.example:8443", "https", "8443"),
            ("[::1]", "http", "80"),
            ("[::1]:8080", "http", "8080"),
        ] {
            assert_eq!(port_of(&host.parse().unwrap(), scheme), expected, "{scheme}://{host}");
        }
    }

    #[test]
    fn trailers_say_nothing_about_the_message_or_the_caller() {
        let mut found = headers(&[
            ("x-user-id", "1"),
            ("host", "a"),
            ("authorization", "x"),
            ("x-request-id", "1"),
            ("x-sum", "1"),
        ]);
        remove_from_trailers(&mut found);
        assert_eq!(names(&found), ["x-sum"]);
    }

    #[test]
    fn connection_cannot_name_what_others_rely_on() {
        let kept = [("authorization", "Bearer x"), ("host", "a"), ("cookie", "a=b"), ("content-length", "3")];
        let mut found = headers(&kept);
        found.insert(CONNECTION, "Authorization, host, COOKIE, content-length".parse().unwrap());
        remove_hop_by_hop(&mut found);
        assert_eq!(found, headers(&kept));
    }

    #[test]
    fn nobody_else_says_what_only_the_gateway_may_say() {
        let mut found = headers(&[
            ("X-User-Id", "1"),
            ("x_user_id", "1"),
            ("X-User_Scopes", "1"),
            ("x-user", "1"),
            ("x-auth-token", "1"),
            ("x-scopes", "1"),
            ("X_Caller-Service", "1"),
            ("x-service-token", "1"),
            ("x-forwarded-for", "1"),
            ("X_Forwarded_Proto", "1"),
            ("x-real-ip", "1"),
            ("forwarded", "for=1"),
            ("x-msctl-attempt", "1"),
            ("x-username", "kept"),
            ("x-authority", "kept"),
            ("from", "kept"),
        ]);
        remove_forged(&mut found);
        assert_eq!(names(&found), ["from", "x-authority", "x-username"]);
    }
}
