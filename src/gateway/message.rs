//! What must hold for any request before anybody looks at where it goes.
//!
//! hyper has refused malformed messages already (RFC 9112); this refuses the ones that are well
//! formed and still no business of ours, or that hyper is lenient about.

use std::borrow::Cow;

use http::header::{CONTENT_LENGTH, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};

use super::client_io::Framing;
use super::limits::Limits;
use super::problem::Problem;

/// The host that a request is for.
#[derive(Debug, Clone)]
pub(super) struct Authority {
    /// As it is forwarded.
    pub(super) value: HeaderValue,
}

impl Authority {
    /// Lower case, without port and without the dot at its end.
    pub(super) fn host(&self) -> Cow<'_, str> {
        // Checked on construction: visible ASCII.
        let text = self.value.to_str().unwrap_or_default();
        let host = match text.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => text,
        };
        let host = host.strip_suffix('.').unwrap_or(host);
        if host.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(host.to_ascii_lowercase())
        } else {
            Cow::Borrowed(host)
        }
    }
}

/// # Errors
/// With the first rule that the request breaks.
pub(super) fn check(parts: &Parts, framing: Framing, limits: &Limits) -> Result<(), Problem> {
    if framing == Framing::Ambiguous {
        return Err(Problem::Framing);
    }
    match parts.method {
        Method::CONNECT => return Err(Problem::Connect),
        Method::TRACE => return Err(Problem::Trace),
        _ => {}
    }
    let uri_length = parts.uri.path_and_query().map_or(0, |path| path.as_str().len());
    if uri_length > limits.uri {
        return Err(Problem::UriTooLong { limit: limits.uri });
    }
    if block_size(&parts.headers) > limits.header_block {
        return Err(Problem::HeadersTooLarge { limit: limits.header_block });
    }
    Ok(())
}

/// # Errors
/// When the request says of its body that it is longer than `limit` bytes.
pub(super) fn check_length(headers: &HeaderMap, limit: u64) -> Result<(), Problem> {
    match declared_length(headers) {
        Some(length) if length > limit => Err(Problem::BodyTooLarge { limit }),
        _ => Ok(()),
    }
}

/// The host of a request: exactly one, from the request line (absolute-form, `:authority`) if it
/// is there, else from `Host` (RFC 9112, section 3.2).
pub(super) fn authority(parts: &Parts) -> Result<Authority, Problem> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(Problem::Host("the request has several Host headers"));
    }
    let value = match (parts.uri.authority(), host) {
        (Some(authority), host) => {
            let differs =
                host.is_some_and(|host| !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()));
            if differs && parts.version == http::Version::HTTP_2 {
                return Err(Problem::Host("Host and :authority differ"));
            }
            HeaderValue::from_str(authority.as_str()).map_err(|_| Problem::Host("the host is malformed"))?
        }
        (None, Some(host)) => host.clone(),
        (None, None) => return Err(Problem::Host("the request has no Host header")),
    };
    if is_authority(value.as_bytes()) {
        Ok(Authority { value })
    } else {
        Err(Problem::Host("the host is malformed"))
    }
}

/// Names, addresses and a port; no user information, no paths.
fn is_authority(bytes: &[u8]) -> bool {
    let allowed =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b':' | b'[' | b']');
    !bytes.is_empty() && bytes.iter().all(allowed)
}

fn block_size(headers: &HeaderMap) -> usize {
    // Each line has a colon, a space, CR and LF besides.
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn check_host(uri: &str, hosts: &[&str], expected: &str) {
        let mut request = Request::get(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let parts = request.body(()).unwrap().into_parts().0;
        let found = authority(&parts).map_or_else(|p| p.to_string(), |a| a.host().into_owned());
        assert_eq!(found, expected, "{uri} {hosts:?}");
    }

    #[test]
    fn the_host_is_compared_in_lower_case_without_port_and_final_dot() {
        check_host("/", &["order.store.localhost"], "order.store.localhost");
        check_host("/", &["ORDER.Store.localhost.:8080"], "order.store.localhost");
        check_host("/", &["[::1]:8080"], "[::1]");
        check_host("/", &["[::1]"], "[::1]");
    }

    #[test]
    fn absolute_form_wins_over_the_header() {
        check_host("http://a.example/x", &["b.example"], "a.example");
    }

    #[test]
    fn there_is_exactly_one_well_formed_host() {
        check_host("/", &[], "the request has no Host header");
        check_host("/", &["a", "a"], "the request has several Host headers");
        for bad in ["", "a b", "user@host", "a/b", "a,b", "a?b"] {
            check_host("/", &[bad], "the host is malformed");
        }
        check_host("http://user@a.example/", &[], "the host is malformed");
    }
}
