//! A request's head in the form that the instance's protocol has for it.
//!
//! Until then a head is in one form, whatever the client spoke: origin-form, with `Host`.

use http::header::{CONNECTION, COOKIE, Entry, HOST, TE};
use http::uri::{Authority, Parts, Scheme};
use http::{HeaderMap, HeaderValue, Request, Uri};

/// Clients of HTTP/2 may send a cookie header for each cookie; HTTP/1.1 has one (RFC 9113, section
/// 8.2.3). `TE` concerns the connection, so `Connection` names it (RFC 9110, section 10.1.4).
pub(super) fn for_http1<B>(mut request: Request<B>) -> Request<B> {
    let headers = request.headers_mut();
    join_cookies(headers);
    if headers.contains_key(TE) {
        headers.append(CONNECTION, HeaderValue::from_static("te"));
    }
    request
}

/// `Host` becomes `:authority` (RFC 9113, section 8.3.1).
pub(super) fn for_http2<B>(mut request: Request<B>) -> Request<B> {
    if let Some(uri) = absolute(request.uri(), request.headers().get(HOST)) {
        *request.uri_mut() = uri;
        request.headers_mut().remove(HOST);
    }
    request
}

fn absolute(uri: &Uri, host: Option<&HeaderValue>) -> Option<Uri> {
    let mut parts = Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(Authority::try_from(host?.as_bytes()).ok()?);
    parts.path_and_query = uri.path_and_query().cloned();
    Uri::from_parts(parts).ok()
}

fn join_cookies(headers: &mut HeaderMap) {
    let Entry::Occupied(mut cookies) = headers.entry(COOKIE) else { return };
    if cookies.iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = cookies.iter().map(HeaderValue::as_bytes).collect();
    // Values that were valid one by one are so together.
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        cookies.insert(joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookie_crumbs_become_one_header() {
        let request = Request::get("/").header(COOKIE, "a=1").header(COOKIE, "b=2; c=3");
        let request = for_http1(request.body(()).unwrap());
        let cookies: Vec<_> = request.headers().get_all(COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1; b=2; c=3"]);
    }

    #[test]
    fn the_host_becomes_the_authority() {
        let request = Request::get("/a?b=c").header(HOST, "store.localhost:8080").body(()).unwrap();
        let request = for_http2(request);
        assert_eq!(request.uri(), "http://store.localhost:8080/a?b=c");
        assert!(request.headers().is_empty());
        assert_eq!(for_http2(request).uri(), "http://store.localhost:8080/a?b=c");
    }

    #[test]
    fn te_is_named_by_connection() {
        let request = Request::get("/").header(TE, "trailers").header(CONNECTION, "upgrade");
        let request = for_http1(request.body(()).unwrap());
        let named: Vec<_> = request.headers().get_all(CONNECTION).iter().collect();
        assert_eq!(named, ["upgrade", "te"]);
    }
}
