//! The answer to what hyper takes for no request. Its own is empty, since it knows nothing of
//! problem documents; one of ours goes out in its place.

use http::{HeaderValue, StatusCode};

use super::head_scan::HeadScan;
use super::headers::X_REQUEST_ID;
use super::limits::Limits;
use super::problem::Problem;
use super::request_id::{self, Trust};

/// hyper's is shorter by far: a status line, `connection`, `content-length: 0` and `date`.
const LONGEST: usize = 200;

/// Whether these are the bytes of such an answer, and nothing else. Ours have a request id, all of them.
pub(super) fn is_refusal(bytes: &[u8]) -> bool {
    bytes.len() < LONGEST
        && status(bytes).is_some()
        && bytes.ends_with(b"\r\n\r\n")
        && contains(bytes, b"\r\nconnection: close\r\n")
        && contains(bytes, b"\r\ncontent-length: 0\r\n")
        && !contains(bytes, b"\r\nx-request-id:")
}

/// What to say instead, and by which id. hyper says 431 whenever its buffer is full, but a request line that fills it is a target too long
/// (RFC 9112, section 3).
pub(super) fn in_place_of(bytes: &[u8], scan: &HeadScan, limits: &Limits) -> (Problem, HeaderValue) {
    let problem = match status(bytes) {
        Some(StatusCode::URI_TOO_LONG) => Problem::UriTooLong { limit: limits.uri },
        Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE) if scan.is_in_request_line() => {
            Problem::UriTooLong { limit: limits.uri }
        }
        Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE) => {
            Problem::HeadersTooLarge { limit: limits.header_block }
        }
        _ => Problem::Malformed,
    };
    (problem, request_id::choose(None, Trust::Nobody))
}

/// The whole answer, head and document.
pub(super) fn answer(problem: &Problem, id: &HeaderValue) -> Vec<u8> {
    let id_text = id.to_str().unwrap_or_default();
    let document = problem.document(id_text);
    let status = problem.status();
    let reason = status.canonical_reason().unwrap_or_default();
    format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: application/problem+json\r\ncache-control: no-store\r\n\
         connection: close\r\ncontent-length: {}\r\n{X_REQUEST_ID}: {id_text}\r\n\r\n{document}",
        status.as_u16(),
        document.len(),
    )
    .into_bytes()
}

/// Of those that hyper answers by itself.
fn status(bytes: &[u8]) -> Option<StatusCode> {
    let rest = bytes.strip_prefix(b"HTTP/1.1 ").or_else(|| bytes.strip_prefix(b"HTTP/1.0 "))?;
    let status = StatusCode::from_bytes(rest.get(..3)?).ok()?;
    matches!(status.as_u16(), 400 | 414 | 431).then_some(status)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "date: Mon, 23 Nov 2026 06:00:00 GMT\r\n\r\n";

    fn check(head: &str, expected: bool) {
        assert_eq!(is_refusal(format!("{head}{DATE}").as_bytes()), expected, "{head}");
    }

    #[test]
    fn only_an_empty_refusal_without_an_id_is_hypers_own() {
        check("HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n", true);
        check(
            "HTTP/1.0 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n",
            true,
        );
        check("HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n", false);
        check("HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 2\r\n", false);
        check("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n", false);
        check(
            "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\nx-request-id: 1\r\n",
            false,
        );
        for other in ["", "HTTP/1.1 4", "HTTP/1.1 400", "x"] {
            assert!(!is_refusal(other.as_bytes()));
        }
    }

    #[test]
    fn the_answer_is_a_document_with_the_status_and_the_length_that_it_has() {
        for (status, code) in [(400, "request_malformed"), (414, "uri_too_long"), (431, "headers_too_large")]
        {
            let refusal = format!("HTTP/1.1 {status} X\r\n");
            let (problem, id) = in_place_of(refusal.as_bytes(), &HeadScan::default(), &Limits::default());
            let answer = String::from_utf8(super::answer(&problem, &id)).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
            assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
            let document: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!((&document["code"], &document["retryable"]), (&code.into(), &false.into()));
            assert!(head.contains(&format!("x-request-id: {}", document["request_id"].as_str().unwrap())));
        }
    }
}
