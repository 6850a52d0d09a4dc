//! What must hold for any request before anybody looks at where it goes.
//!
//! hyper has refused malformed messages already (RFC 9112); this refuses the ones that are well
//! formed and still no business of ours, or that hyper is lenient about.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Method, Request, Version};

use super::client_io::Framing;
use super::limits::Limits;
use super::problem::Problem;

/// How many header fields a request has at most. hyper counts those of HTTP/1; in HTTP/2 even the
/// smallest costs work, and a cookie may come in any number of pieces.
const MAX_FIELDS: usize = 100;

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
pub(super) fn check<B>(request: &Request<B>, framing: Framing, limits: &Limits) -> Result<(), Problem> {
    if framing == Framing::Ambiguous {
        return Err(Problem::Framing);
    }
    if !is_plainly_coded(request.headers()) {
        return Err(Problem::Coding);
    }
    match *request.method() {
        Method::CONNECT => return Err(Problem::Connect),
        Method::TRACE => return Err(Problem::Trace),
        _ => {}
    }
    let uri_length = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if uri_length > limits.uri {
        return Err(Problem::UriTooLong { limit: limits.uri });
    }
    if request.headers().len() > MAX_FIELDS || block_size(request.headers()) > limits.header_block {
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

/// Whether a message is chunked and no more, or not coded at all. hyper takes `chunked` off and leaves
/// what else there was, such as `gzip`: nobody could read the content without its name.
pub(super) fn is_plainly_coded(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

/// The host of a request: exactly one, from the request line (absolute-form, `:authority`) if it
/// is there, else from `Host`, which HTTP/1.1 has in either case (RFC 9112, section 3.2).
pub(super) fn authority<B>(request: &Request<B>) -> Result<Authority, Problem> {
    let (uri, version) = (request.uri(), request.version());
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(Problem::Host("the request has several Host headers"));
    }
    if host.is_some_and(|host| !is_authority(host.as_bytes())) {
        return Err(Problem::Host("the host is malformed"));
    }
    if uri.scheme().is_some_and(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS) {
        return Err(Problem::Host("the URL is neither of http nor of https"));
    }
    match (uri.authority(), host) {
        (Some(_), None) if version == Version::HTTP_11 => {
            Err(Problem::Host("the request has no Host header"))
        }
        (Some(authority), host) => {
            let differs =
                host.is_some_and(|host| !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()));
            if differs && version == Version::HTTP_2 {
                return Err(Problem::Host("Host and :authority differ"));
            }
            let text = Some(authority.as_str()).filter(|text| is_authority(text.as_bytes()));
            let value = text.and_then(|text| HeaderValue::from_str(text).ok());
            Ok(Authority { value: value.ok_or(Problem::Host("the host is malformed"))? })
        }
        (None, Some(host)) => Ok(Authority { value: host.clone() }),
        (None, None) => Err(Problem::Host("the request has no Host header")),
    }
}

/// A name or an address, and perhaps a port (RFC 3986, section 3.2.2): no user information, nothing
/// encoded, no empty labels.
fn is_authority(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, rest)) = rest.split_once(']') else { return false };
        return address.parse::<Ipv6Addr>().is_ok()
            && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port));
    }
    match text.split_once(':') {
        Some((name, port)) => is_name(name) && is_port(port),
        None => is_name(text),
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'~');
    let labels = text.strip_suffix('.').unwrap_or(text);
    labels.split('.').all(|label| !label.is_empty() && label.bytes().all(allowed))
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok()
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
        let found =
            authority(&request.body(()).unwrap()).map_or_else(|p| p.to_string(), |a| a.host().into_owned());
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
        for bad in [":80", "a:", "a:x", "a:65536", "a:1:2", "[::1", "[a]", "::1", ".a", "a..b", ".", "a%2eb"]
        {
            check_host("/", &[bad], "the host is malformed");
        }
        check_host("http://user@a.example/", &["a.example"], "the host is malformed");
        check_host("http://a.example/", &[], "the request has no Host header");
        check_host("http://a.example/", &["a b"], "the host is malformed");
        check_host("ftp://a.example/", &["a.example"], "the URL is neither of http nor of https");
    }
}
