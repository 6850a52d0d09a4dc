//! gRPC over HTTP/2, as far as a proxy has to know it: which requests are calls, how long they may
//! take, and how a call that failed is answered.
//!
//! A call has time-outs of its own, so what is one is not for its content type alone to say: anybody
//! could claim it. It is a POST by HTTP/2, and where it goes HTTP/2 is spoken, too. gRPC-Web, which
//! comes by any version, is only answered in its own way.
//!
//! Nothing here reads messages; they are streamed like any other body. The rules are those of the
//! gRPC project's "gRPC over HTTP2".

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};

use super::body::Body;
use super::problem::Problem;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Of the status codes of gRPC, those that a gateway has a use for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    DeadlineExceeded = 4,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

/// Why an instance did not take a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Declined {
    Unavailable,
    Exhausted,
}

/// `headers` are those of a response's head. Where they say nothing, the status may follow in trailers.
pub(super) fn declined(headers: &HeaderMap) -> Option<Declined> {
    // As in `Status`.
    match headers.get(GRPC_STATUS)?.to_str().ok()?.parse() {
        Ok(14) => Some(Declined::Unavailable),
        Ok(8) => Some(Declined::Exhausted),
        _ => None,
    }
}

/// A request that is a call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    content_type: HeaderValue,
    pub(super) timeout: Option<Duration>,
}

impl Call {
    pub(super) fn of<B>(request: &Request<B>) -> Option<Self> {
        let headers = request.headers();
        let content_type = headers.get(CONTENT_TYPE)?;
        let rest = content_type.as_bytes().strip_prefix(b"application/grpc")?;
        let is_call = request.method() == Method::POST
            && match rest.first() {
                None | Some(b'+' | b';') => request.version() == Version::HTTP_2,
                Some(other) => *other == b'-',
            };
        is_call.then(|| Self {
            content_type: content_type.clone(),
            timeout: headers.get(GRPC_TIMEOUT).and_then(|value| timeout(value.as_bytes())),
        })
    }

    /// Whether the caller reads trailers. Of gRPC-Web they are a part of the body.
    pub(super) fn reads_trailers(&self) -> bool {
        !self.content_type.as_bytes().starts_with(b"application/grpc-")
    }
}

/// The answer to a call that was not let through or came to nothing: a head and no body.
pub(super) fn response(problem: &Problem, call: &Call) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, call.content_type.clone());
    set_status(headers, status_of(problem), &problem.to_string());
    response
}

/// What ends a call whose time is over after its head was answered.
pub(super) fn deadline_trailers() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(2);
    set_status(&mut trailers, Status::DeadlineExceeded, "the call took longer than it may");
    trailers
}

fn set_status(headers: &mut HeaderMap, status: Status, message: &str) {
    headers.insert(GRPC_STATUS, HeaderValue::from(status as u16));
    if let Ok(message) = HeaderValue::from_str(&percent_encoded(message)) {
        headers.insert(GRPC_MESSAGE, message);
    }
}

fn status_of(problem: &Problem) -> Status {
    match problem.status() {
        StatusCode::UNAUTHORIZED => Status::Unauthenticated,
        StatusCode::FORBIDDEN => Status::PermissionDenied,
        StatusCode::NOT_FOUND => Status::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::PAYLOAD_TOO_LARGE => Status::ResourceExhausted,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => Status::Unavailable,
        StatusCode::GATEWAY_TIMEOUT => Status::DeadlineExceeded,
        _ => Status::Internal,
    }
}

/// At most eight digits and a unit. What is something else is left to the service to refuse.
fn timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(count * 3600)),
        b'M' => Some(Duration::from_secs(count * 60)),
        b'S' => Some(Duration::from_secs(count)),
        b'm' => Some(Duration::from_millis(count)),
        b'u' => Some(Duration::from_micros(count)),
        b'n' => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// What is not printable ASCII, and the percent sign, as `%XX`.
fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check_timeout(value: &str, expected: Option<Duration>) {
        assert_eq!(timeout(value.as_bytes()), expected, "{value}");
    }

    #[test]
    fn a_timeout_is_eight_digits_and_a_unit() {
        check_timeout("1H", Some(Duration::from_secs(3600)));
        check_timeout("2M", Some(Duration::from_secs(120)));
        check_timeout("3S", Some(Duration::from_secs(3)));
        check_timeout("100m", Some(Duration::from_millis(100)));
        check_timeout("0u", Some(Duration::ZERO));
        check_timeout("99999999n", Some(Duration::from_nanos(99_999_999)));
        check_timeout("99999999H", Some(Duration::from_secs(99_999_999 * 3600)));
        for wrong in ["", "S", "123456789S", "1", "1s", "-1S", "+1S", "1 S", "1.5S", "1SS"] {
            check_timeout(wrong, None);
        }
    }

    #[test]
    fn a_call_is_known_by_its_content_type() {
        let call = |content_type: &str| Call::of(&request(Version::HTTP_2, Method::POST, content_type));
        for yes in ["application/grpc", "application/grpc+proto", "application/grpc;x=y"] {
            assert!(call(yes).is_some_and(|call| call.reads_trailers()), "{yes}");
        }
        assert!(call("application/grpc-web+proto").is_some_and(|call| !call.reads_trailers()));
        for no in ["application/grpcx", "application/json", "text/application/grpc"] {
            assert!(call(no).is_none(), "{no}");
        }
        assert!(Call::of(&Request::post("/").body(()).unwrap()).is_none());
    }

    #[test]
    fn a_call_is_a_post_by_http_2_except_on_the_web() {
        for (version, method, content_type, is_call) in [
            (Version::HTTP_2, Method::POST, "application/grpc", true),
            (Version::HTTP_2, Method::GET, "application/grpc", false),
            (Version::HTTP_11, Method::POST, "application/grpc", false),
            (Version::HTTP_10, Method::POST, "application/grpc+proto", false),
            (Version::HTTP_11, Method::POST, "application/grpc-web", true),
            (Version::HTTP_11, Method::GET, "application/grpc-web", false),
        ] {
            let request = request(version, method, content_type);
            assert_eq!(Call::of(&request).is_some(), is_call, "{request:?}");
        }
    }

    fn request(version: Version, method: Method, content_type: &str) -> Request<()> {
        let request = Request::builder().version(version).method(method);
        request.header(CONTENT_TYPE, content_type).body(()).unwrap()
    }

    #[test]
    fn each_problem_has_a_status_of_grpc() {
        let service = || "order".parse().unwrap();
        for (problem, expected) in [
            (Problem::TokenMissing, "16"),
            (Problem::ScopeMissing { needed: "x".to_owned() }, "7"),
            (Problem::NoRoute, "12"),
            (Problem::NoneReady { service: service(), state: "none".to_owned() }, "14"),
            (Problem::Unreachable { service: service() }, "14"),
            (Problem::BadAnswer { service: service() }, "14"),
            (Problem::AnswerLate { service: service() }, "4"),
            (Problem::BodyTooLarge { limit: 1 }, "8"),
            (Problem::BodyBroken, "13"),
        ] {
            let call = Call { content_type: HeaderValue::from_static("application/grpc"), timeout: None };
            let answer = response(&problem, &call);
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(answer.headers()[GRPC_STATUS], expected, "{problem}");
            assert_eq!(answer.headers()[CONTENT_TYPE], "application/grpc");
        }
    }

    proptest! {
        #[test]
        fn a_message_survives_its_encoding(text in "\\PC*") {
            let encoded = percent_encoded(&text);
            prop_assert!(HeaderValue::from_str(&encoded).is_ok());
            let mut decoded = Vec::new();
            let mut bytes = encoded.bytes();
            while let Some(byte) = bytes.next() {
                decoded.push(if byte == b'%' {
                    let hex = [bytes.next().unwrap(), bytes.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
                } else {
                    byte
                });
            }
            prop_assert_eq!(String::from_utf8(decoded).unwrap(), text);
        }
    }
}
