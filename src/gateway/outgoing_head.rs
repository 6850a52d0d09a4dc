//! A request's head in the form that the instance's protocol has for it.
//!
//! Until then a head is in one form, whatever the client spoke: origin-form, with `Host`.

use http::header::{CONNECTION, HOST, TE};
use http::uri::{Authority, Parts, Scheme};
use http::{HeaderValue, Request, Uri};

/// `TE` concerns the connection, so `Connection` names it (RFC 9110, section 10.1.4).
pub(super) fn for_http1<B>(mut request: Request<B>) -> Request<B> {
    let headers = request.headers_mut();
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

#[cfg(test)]
mod tests {
    use super::*;

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
