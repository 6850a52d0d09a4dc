//! Which responses are compressed, and what their head says then (RFC 9110, section 8.4).
//!
//! gzip alone: every client knows it, and it costs little. A client that does not ask for it costs
//! one look-up.

use std::ops::ControlFlow;

use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG,
    HeaderName,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::Body as _;

use super::body::Body;
use super::cors::add_vary;
use super::gzip::Gzipped;
use super::headers::has_token;
use super::wants::quality;

/// Shorter ones fit into one packet either way.
const LEAST: u64 = 1024;
/// Digests of the bytes that are sent: compressed ones would be others (RFC 9530).
const DIGESTS: [HeaderName; 3] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
];

/// Whether the client takes gzip, and would not rather have it plain (RFC 9110, section 12.5.3).
pub(super) fn is_accepted(headers: &HeaderMap) -> bool {
    let (mut gzip, mut any, mut plain) = (None, None, 0);
    for line in headers.get_all(ACCEPT_ENCODING) {
        for coding in line.to_str().unwrap_or_default().split(',') {
            let mut parts = coding.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let quality = parts.find_map(quality).unwrap_or(1000);
            match name {
                name if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => {
                    gzip = gzip.max(Some(quality));
                }
                name if name.eq_ignore_ascii_case("identity") => plain = quality,
                "*" => any = Some(quality),
                _ => {}
            }
        }
    }
    gzip.or(any).is_some_and(|gzip| gzip > 0 && gzip >= plain)
}

/// Compresses the response, if that is worth it and allowed.
pub(super) fn apply(response: Response<Body>) -> Response<Body> {
    if !is_compressible(&response) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let body = match Gzipped::new(body) {
        ControlFlow::Continue(gzipped) => gzipped,
        ControlFlow::Break(plain) => return Response::from_parts(head, plain),
    };
    let headers = &mut head.headers;
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.remove(CONTENT_LENGTH);
    // Ranges would be of the plain bytes.
    headers.remove(ACCEPT_RANGES);
    add_vary(headers, &ACCEPT_ENCODING);
    weaken_etag(headers);
    Response::from_parts(head, Body::gzipped(body))
}

/// Leaves the response as it is, and says that others may get it in another form.
pub(super) fn pass(mut response: Response<Body>) -> Response<Body> {
    if is_compressible(&response) {
        add_vary(response.headers_mut(), &ACCEPT_ENCODING);
    }
    response
}

fn is_compressible(response: &Response<Body>) -> bool {
    let headers = response.headers();
    has_content(response.status())
        && response.body().size_hint().exact().is_none_or(|length| length > LEAST)
        && headers.get(CONTENT_TYPE).is_some_and(|kind| is_text(kind.as_bytes()))
        && !headers.contains_key(CONTENT_ENCODING)
        && !has_token(headers, &CACHE_CONTROL, "no-transform")
        && !DIGESTS.iter().any(|digest| headers.contains_key(digest))
}

fn has_content(status: StatusCode) -> bool {
    let without = [StatusCode::NO_CONTENT, StatusCode::PARTIAL_CONTENT, StatusCode::NOT_MODIFIED];
    !status.is_informational() && !without.contains(&status)
}

/// What consists of words. Pictures, films and archives are compressed already; events have to
/// arrive one by one.
fn is_text(kind: &[u8]) -> bool {
    let essence = kind.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
    let essence = essence.to_ascii_lowercase();
    match essence.as_slice() {
        b"text/event-stream" => false,
        b"application/json"
        | b"application/javascript"
        | b"application/ecmascript"
        | b"application/x-javascript"
        | b"application/xml"
        | b"application/wasm"
        | b"application/x-ndjson"
        | b"application/x-www-form-urlencoded" => true,
        // gRPC compresses its messages itself.
        other if other.starts_with(b"application/grpc") => false,
        other => other.starts_with(b"text/") || other.ends_with(b"+json") || other.ends_with(b"+xml"),
    }
}

/// The same content in other bytes (RFC 9110, section 8.8.1).
fn weaken_etag(headers: &mut HeaderMap) {
    let Some(etag) = headers.get(ETAG).map(HeaderValue::as_bytes) else { return };
    if !etag.starts_with(b"W/") {
        let weak = HeaderValue::from_bytes(&[b"W/", etag].concat());
        match weak {
            Ok(weak) => headers.insert(ETAG, weak),
            Err(_) => headers.remove(ETAG),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (ACCEPT_ENCODING, HeaderValue::from_str(line).unwrap())).collect()
    }

    #[test]
    fn gzip_is_for_those_who_take_it_and_do_not_prefer_it_plain() {
        for (lines, expected) in [
            (&["gzip"][..], true),
            (&["gzip, deflate, br, zstd"], true),
            (&["br", "GZip"], true),
            (&["x-gzip;q=0.1"], true),
            (&["*"], true),
            (&["deflate, *;q=0.5"], true),
            (&["gzip;q=0.5, identity;q=0.5"], true),
            (&[], false),
            (&[""], false),
            (&["br"], false),
            (&["identity"], false),
            (&["gzip;q=0"], false),
            (&["gzip;q=0.0, *"], false),
            (&["*;q=0"], false),
            (&["identity, gzip;q=0.5"], false),
            (&["gzipped"], false),
        ] {
            assert_eq!(is_accepted(&accepting(lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn words_are_compressed_and_pictures_streams_and_calls_are_not() {
        for (kind, expected) in [
            ("text/html; charset=utf-8", true),
            ("Text/CSS", true),
            ("application/json", true),
            ("application/problem+json", true),
            ("application/atom+xml;charset=utf-8", true),
            ("image/svg+xml", true),
            ("application/wasm", true),
            ("text/event-stream", false),
            ("text/event-stream; charset=utf-8", false),
            ("application/grpc", false),
            ("application/grpc+json", false),
            ("image/png", false),
            ("application/octet-stream", false),
            ("application/zip", false),
            ("", false),
        ] {
            assert_eq!(is_text(kind.as_bytes()), expected, "{kind}");
        }
    }

    fn response(status: u16, length: usize, lines: &[(HeaderName, &str)]) -> Response<Body> {
        let mut response = Response::new(Body::full(vec![b'a'; length]));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        for (name, value) in lines {
            response.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
        }
        response
    }

    #[test]
    fn what_is_short_coded_partial_or_vouched_for_stays_as_it_is() {
        for plain in [
            response(200, 1024, &[]),
            response(206, 2000, &[]),
            response(304, 2000, &[]),
            response(200, 2000, &[(CONTENT_ENCODING, "br")]),
            response(200, 2000, &[(CACHE_CONTROL, "public, No-Transform")]),
            response(200, 2000, &[(DIGESTS[0].clone(), "sha-256=:x:")]),
        ] {
            assert!(!is_compressible(&plain), "{plain:?}");
        }
        assert!(is_compressible(&response(200, 1025, &[])));
        assert!(is_compressible(&response(404, 1025, &[(CACHE_CONTROL, "no-cache")])));
    }

    #[test]
    fn a_compressed_response_says_so_and_promises_no_bytes() {
        let plain = response(
            200,
            2000,
            &[(ETAG, "\"abc\""), (ACCEPT_RANGES, "bytes"), (http::header::VARY, "Origin")],
        );
        let head = apply(plain).into_parts().0;
        let found = |name: HeaderName| head.headers.get_all(name).iter().collect::<Vec<_>>();
        assert_eq!(found(CONTENT_ENCODING), ["gzip"]);
        assert_eq!(found(ETAG), ["W/\"abc\""]);
        assert_eq!(found(http::header::VARY), ["Origin", "accept-encoding"]);
        assert!(found(CONTENT_LENGTH).is_empty() && found(ACCEPT_RANGES).is_empty());
        let weak = apply(response(200, 2000, &[(ETAG, "W/\"abc\"")])).into_parts().0;
        assert_eq!(weak.headers[ETAG], "W/\"abc\"");
    }
}
