//! Which trace a request belongs to (W3C Trace Context). Pure, but for the ids it makes up.
//!
//! The trace of a client is continued, whoever the client is: it names a trace, nobody's identity.
//! Each attempt to reach an instance is a span of its own, so that a retry shows as two. Nothing is
//! recorded or exported here: services and the access log have the ids.

use std::fmt;

use http::header::{Entry, HeaderName};
use http::{HeaderMap, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// `00-` trace id, parent id, flags: so long is the only version there is.
const LENGTH: usize = 55;
/// Section 3.3.1.1: no list has more members.
const MAX_MEMBERS: usize = 32;
/// Section 3.3.1.5: what has to be passed on at the least, and is the most that we pass on.
const MAX_STATE: usize = 512;
const SAMPLED: u8 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TraceContext {
    trace: u128,
    sampled: bool,
    begun: Begun,
}

/// Where a trace began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begun {
    Before,
    Here,
}

impl TraceContext {
    /// The trace that a request continues, or a new one. A new one is sampled: services that record
    /// traces would take "not sampled" for an order to record none.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut given = headers.get_all(TRACEPARENT).iter();
        let single = given.next().filter(|_| given.next().is_none());
        match single.and_then(|value| parse(value.as_bytes())) {
            Some((trace, sampled)) => Self { trace, sampled, begun: Begun::Before },
            None => Self { trace: trace_id(), sampled: true, begun: Begun::Here },
        }
    }

    /// Says in a head which trace it belongs to, as a new span. What others say of a trace goes with
    /// it only where that trace is continued.
    pub(super) fn set(&self, headers: &mut HeaderMap) {
        headers.insert(TRACEPARENT, self.traceparent());
        if let Entry::Occupied(state) = headers.entry(TRACESTATE)
            && (self.begun == Begun::Here || !is_within_limits(state.iter()))
        {
            state.remove_entry_mult();
        }
    }

    /// The same trace, for one more attempt with the same head.
    pub(super) fn renew(headers: &mut HeaderMap) {
        if let Some((trace, sampled)) = headers.get(TRACEPARENT).and_then(|value| parse(value.as_bytes())) {
            headers.insert(TRACEPARENT, Self { trace, sampled, begun: Begun::Before }.traceparent());
        }
    }

    fn traceparent(&self) -> HeaderValue {
        let mut text = [b'-'; LENGTH];
        text[..2].copy_from_slice(b"00");
        write_hex(&mut text[3..35], self.trace);
        write_hex(&mut text[36..52], u128::from(span_id()));
        write_hex(&mut text[53..55], u128::from(self.sampled));
        HeaderValue::from_bytes(&text).expect("hexadecimal digits and hyphens are visible ASCII")
    }
}

/// The trace id: 32 digits.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.trace)
    }
}

/// The trace id and whether it is sampled. Later versions are read as far as this one goes
/// (section 3.2.4); what else they say is not for us.
fn parse(text: &[u8]) -> Option<(u128, bool)> {
    let fields = text.get(..LENGTH)?;
    let dashes = [2, 35, 52].iter().all(|&at| fields[at] == b'-');
    let version = hex(&fields[..2])?;
    let ends_well = match version {
        0 => text.len() == LENGTH,
        0xff => false,
        _ => text.get(LENGTH).is_none_or(|&next| next == b'-'),
    };
    let (trace, parent, flags) = (hex(&fields[3..35])?, hex(&fields[36..52])?, hex(&fields[53..])?);
    let valid = dashes && ends_well && trace != 0 && parent != 0;
    valid.then_some((trace, flags & u128::from(SAMPLED) != 0))
}

/// Lower case alone, as the specification has it.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u128::from(digit))
    })
}

fn write_hex(text: &mut [u8], value: u128) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut rest = value;
    for digit in text.iter_mut().rev() {
        *digit = DIGITS[(rest & 0xf) as usize];
        rest >>= 4;
    }
}

fn trace_id() -> u128 {
    // Zero is no id; that it comes up is beyond all chance, and costs nothing to rule out.
    (u128::from(fastrand::u64(..)) << 64 | u128::from(fastrand::u64(..))).max(1)
}

fn span_id() -> u64 {
    fastrand::u64(..).max(1)
}

/// Whatever is longer is left out whole: half a list would say something else.
fn is_within_limits<'v>(values: impl Iterator<Item = &'v HeaderValue>) -> bool {
    let (mut length, mut members) = (0, 0);
    for value in values {
        length += value.len() + 1;
        members += value.as_bytes().split(|&b| b == b',').count();
    }
    length <= MAX_STATE + 1 && members <= MAX_MEMBERS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const PARENT: &str = "b7ad6b7169203331";

    fn head(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn sent(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = head(lines);
        TraceContext::of(&headers).set(&mut headers);
        headers
    }

    fn parts(headers: &HeaderMap) -> (String, String, String) {
        assert_eq!(headers.get_all(TRACEPARENT).iter().count(), 1);
        let text = headers[TRACEPARENT].to_str().unwrap();
        let fields: Vec<&str> = text.split('-').collect();
        assert!(parse(text.as_bytes()).is_some() && fields[0] == "00", "{text}");
        (fields[1].to_owned(), fields[2].to_owned(), fields[3].to_owned())
    }

    #[test]
    fn a_trace_is_continued_with_a_span_of_our_own() {
        for flags in ["00", "01"] {
            let given = format!("00-{TRACE}-{PARENT}-{flags}");
            let (trace, parent, kept) = parts(&sent(&[("traceparent", &given)]));
            assert_eq!((trace.as_str(), kept.as_str()), (TRACE, flags));
            assert_ne!(parent, PARENT);
        }
    }

    #[test]
    fn where_there_is_no_trace_one_is_begun() {
        let (trace, _, flags) = parts(&sent(&[]));
        assert_ne!(trace, parts(&sent(&[])).0);
        assert_eq!(flags, "01");
    }

    fn check(given: &str, continued: bool) {
        let (trace, _, _) = parts(&sent(&[("traceparent", given)]));
        assert_eq!(trace == TRACE, continued, "{given:?}");
    }

    #[test]
    fn what_is_malformed_is_not_continued() {
        check(&format!("00-{TRACE}-{PARENT}-01-"), false);
        check(&format!("00-{TRACE}-{PARENT}-01-x"), false);
        check(&format!("ff-{TRACE}-{PARENT}-01"), false);
        check(&format!("0g-{TRACE}-{PARENT}-01"), false);
        check(&format!("00-{TRACE}-{}-01", "0".repeat(16)), false);
        check(&format!("00-{}-{PARENT}-01", TRACE.to_uppercase()), false);
        check(&format!("00-{TRACE}-{PARENT}-0"), false);
        check(&format!("00_{TRACE}-{PARENT}-01"), false);
        check(&format!("00-{TRACE}-{PARENT}-zz"), false);
        check("", false);
        let zero = format!("00-{}-{PARENT}-01", "0".repeat(32));
        assert_ne!(parts(&sent(&[("traceparent", &zero)])).0, "0".repeat(32));
        let given = format!("00-{TRACE}-{PARENT}-01");
        assert_ne!(parts(&sent(&[("traceparent", &given), ("traceparent", &given)])).0, TRACE);
    }

    #[test]
    fn a_later_version_is_read_as_far_as_ours_goes() {
        check(&format!("01-{TRACE}-{PARENT}-01"), true);
        check(&format!("cc-{TRACE}-{PARENT}-01-what-the-future-will-be-like"), true);
        check(&format!("cc-{TRACE}-{PARENT}-01.what"), false);
        assert_eq!(parts(&sent(&[("traceparent", &format!("cc-{TRACE}-{PARENT}-ff"))])).2, "01");
    }

    #[test]
    fn what_others_say_of_a_trace_goes_with_it_and_only_with_it() {
        let given = format!("00-{TRACE}-{PARENT}-01");
        let kept = sent(&[("traceparent", &given), ("tracestate", "a=1"), ("tracestate", "b=2")]);
        assert_eq!(kept.get_all(TRACESTATE).iter().count(), 2);
        assert!(!sent(&[("tracestate", "a=1")]).contains_key(TRACESTATE));
        assert!(!sent(&[("traceparent", "00-bad"), ("tracestate", "a=1")]).contains_key(TRACESTATE));
        for (state, is_kept) in [
            (vec!["a=1"; 32].join(","), true),
            (vec!["a=1"; 33].join(","), false),
            ("a".repeat(512), true),
            ("a".repeat(513), false),
        ] {
            let sent = sent(&[("traceparent", &given), ("tracestate", &state)]);
            assert_eq!(sent.contains_key(TRACESTATE), is_kept, "{state}");
        }
    }

    #[test]
    fn another_attempt_is_another_span_of_the_same_trace() {
        let mut headers = sent(&[]);
        let first = parts(&headers);
        TraceContext::renew(&mut headers);
        let second = parts(&headers);
        assert_eq!((&first.0, &first.2), (&second.0, &second.2));
        assert_ne!(first.1, second.1);
    }

    proptest! {
        #[test]
        fn whatever_comes_what_is_sent_is_valid(given in "[ -~]{0,80}") {
            parts(&sent(&[("traceparent", &given)]));
        }

        #[test]
        fn the_id_in_the_log_is_the_one_that_is_sent(trace in 1_u128.., parent in 1_u64..) {
            let given = format!("00-{trace:032x}-{parent:016x}-00");
            let context = TraceContext::of(&head(&[("traceparent", &given)]));
            prop_assert_eq!(context.to_string(), parts(&sent(&[("traceparent", &given)])).0);
        }
    }
}
