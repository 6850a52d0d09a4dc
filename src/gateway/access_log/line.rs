//! How a request is written: one JSON object a line, without what is not known.
//!
//! | Field | |
//! |---|---|
//! | `ts` | when it was over, RFC 3339 in UTC |
//! | `id`, `trace` | `X-Request-Id`, and the trace of W3C Trace Context |
//! | `door` | `public`, or one of the inside |
//! | `client` | whose address it came from |
//! | `method`, `host`, `path` | as asked for, without the query |
//! | `route` | the prefix of the rule that it took |
//! | `service`, `instance`, `generation` | who answered |
//! | `status`, `flag`, `code` | what with, and why if not the service said so |
//! | `bytes_in`, `bytes_out` | of the bodies, and of what a WebSocket said after them |
//! | `total_ms`, `upstream_ms`, `connect_ms` | altogether; from the first try to the head of the answer; for opening connections, if any was |
//! | `attempts` | at reaching an instance |
//! | `subject`, `caller` | of the token; the service that called |

use std::cell::RefCell;
use std::fmt::Display;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;

use super::record::{Outcome, Record};
use super::refused::Origin;
use crate::gateway::flag::Flag;
use crate::gateway::problem::Problem;

/// Of one text in a line. Paths may be longer than anybody wants to read.
const MAX_TEXT: usize = 2048;

/// Appends the whole line, with its end.
pub(super) fn write(record: &Record, outcome: &Outcome, line: &mut Vec<u8>) {
    let mut line = Line::begin(line);
    line.header("id", record.id.as_ref());
    line.shown("trace", record.trace);
    line.plain("door", record.door);
    line.shown("client", record.client);
    line.text("method", record.method.as_str());
    line.header("host", record.host.as_ref());
    line.text("path", record.uri.path());
    who(record, &mut line);
    line.number("status", outcome.status.into());
    if let Some(flag) = outcome.flag {
        line.plain("flag", flag.as_str());
    }
    if let Some(code) = outcome.code {
        line.plain("code", code);
    }
    line.number("bytes_in", outcome.bytes_in);
    line.number("bytes_out", outcome.bytes_out);
    times(record, outcome, &mut line);
    if let Some(subject) = &record.subject {
        line.text("subject", subject);
    }
    if let Some(caller) = &record.caller {
        line.plain("caller", caller.as_str());
    }
    line.0.extend_from_slice(b"}\n");
}

/// The same about something that was no request.
pub(super) fn write_refused(origin: &Origin, problem: &Problem, id: &HeaderValue, line: &mut Vec<u8>) {
    let mut line = Line::begin(line);
    line.header("id", Some(id));
    line.plain("door", origin.door);
    line.shown("client", origin.client.to_canonical());
    line.number("status", problem.status().as_u16().into());
    line.plain("flag", Flag::of(problem).as_str());
    line.plain("code", problem.code());
    line.0.extend_from_slice(b"}\n");
}

fn who(record: &Record, line: &mut Line<'_>) {
    if let Some(route) = &record.route {
        line.filled("route", &route.name().route);
        line.filled("service", &route.name().service);
    }
    if let Some(upstream) = &record.upstream {
        line.shown("instance", upstream.instance());
        line.number("generation", upstream.instance().generation.number().into());
    }
}

fn times(record: &Record, outcome: &Outcome, line: &mut Line<'_>) {
    line.millis("total_ms", outcome.total);
    let tries = &record.tries;
    if let Some(head) = tries.head {
        line.millis("upstream_ms", head);
    }
    if let Some(connect) = tries.connect {
        line.millis("connect_ms", connect);
    }
    if tries.count > 0 {
        line.number("attempts", tries.count.into());
    }
}

/// An object whose first field is written.
struct Line<'l>(&'l mut Vec<u8>);

impl<'l> Line<'l> {
    fn begin(line: &'l mut Vec<u8>) -> Self {
        line.extend_from_slice(b"{\"ts\":\"");
        push_time(line, SystemTime::now());
        line.push(b'"');
        Self(line)
    }

    fn name(&mut self, name: &str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.0.push(b'"');
        push_escaped(self.0, cut(text));
        self.0.push(b'"');
    }

    fn filled(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.plain(name, text);
        }
    }

    /// For texts that need no escape: ours, names and prefixes.
    fn plain(&mut self, name: &str, text: &str) {
        self.name(name);
        self.0.push(b'"');
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b'"');
    }

    fn header(&mut self, name: &str, value: Option<&HeaderValue>) {
        if let Some(text) = value.and_then(|value| value.to_str().ok()) {
            self.text(name, text);
        }
    }

    /// For what shows itself without a character that needs an escape.
    fn shown(&mut self, name: &str, value: impl Display) {
        self.name(name);
        // Writing to memory does not fail.
        let _ = write!(self.0, "\"{value}\"");
    }

    fn number(&mut self, name: &str, number: u64) {
        self.name(name);
        push_number(self.0, number, 1);
    }

    /// With microseconds after the point.
    fn millis(&mut self, name: &str, duration: Duration) {
        self.name(name);
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        push_number(self.0, micros / 1000, 1);
        self.0.push(b'.');
        push_number(self.0, micros % 1000, 3);
    }
}

/// In decimal, with zeros before it up to `width` digits.
fn push_number(line: &mut Vec<u8>, number: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let (mut at, mut rest) = (digits.len(), number);
    while rest > 0 {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    line.extend_from_slice(&digits[at.min(digits.len() - width)..]);
}

/// RFC 8259, section 7.
fn push_escaped(line: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|&b| b < 0x20 || b == b'"' || b == b'\\' || b == 0x7f) {
        line.extend_from_slice(&rest[..at]);
        match rest[at] {
            escaped @ (b'"' | b'\\') => line.extend_from_slice(&[b'\\', escaped]),
            control => {
                let _ = write!(line, "\\u{control:04x}");
            }
        }
        rest = &rest[at + 1..];
    }
    line.extend_from_slice(rest);
}

fn cut(text: &str) -> &str {
    let end = (0..=MAX_TEXT.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    &text[..end.unwrap_or(0)]
}

/// `2026-11-23T06:08:01.123Z`. The second is written anew only when it is another one.
fn push_time(line: &mut Vec<u8>, now: SystemTime) {
    thread_local! {
        static SECOND: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
    }
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    SECOND.with_borrow_mut(|(second, text)| {
        if *second != since.as_secs() {
            *second = since.as_secs();
            let whole = UNIX_EPOCH + Duration::from_secs(*second);
            *text = humantime::format_rfc3339_seconds(whole).to_string();
            text.truncate(text.len() - 1);
        }
        line.extend_from_slice(text.as_bytes());
    });
    line.push(b'.');
    push_number(line, since.subsec_millis().into(), 3);
    line.push(b'Z');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_rfc_3339_to_the_millisecond() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_795_500_481_007, "2026-11-24T06:08:01.007Z"),
            (1_795_500_481_999, "2026-11-24T06:08:01.999Z"),
            (1_795_500_482_000, "2026-11-24T06:08:02.000Z"),
        ] {
            let mut line = Vec::new();
            push_time(&mut line, UNIX_EPOCH + Duration::from_millis(millis));
            assert_eq!(String::from_utf8(line).unwrap(), expected);
        }
    }

    #[test]
    fn durations_are_milliseconds_with_three_places() {
        for (micros, expected) in [(0, "0.000"), (7, "0.007"), (1_234, "1.234"), (60_000_010, "60000.010")] {
            let mut line = Vec::new();
            Line(&mut line).millis("t", Duration::from_micros(micros));
            assert_eq!(String::from_utf8(line).unwrap(), format!(",\"t\":{expected}"));
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_between_characters() {
        assert_eq!(cut(&"é".repeat(2000)).len(), 2048);
        assert_eq!(cut(&format!("x{}", "é".repeat(2000))).len(), 2047);
    }

    proptest! {
        #[test]
        fn any_text_is_read_back_as_it_was(text in "\\PC{0,20}|[\\x00-\\x7f]{0,20}") {
            let mut line = b"{\"a\":1".to_vec();
            Line(&mut line).text("t", &text);
            line.push(b'}');
            let read: serde_json::Value = serde_json::from_slice(&line).unwrap();
            prop_assert_eq!(read["t"].as_str(), Some(text.as_str()));
        }

        #[test]
        fn numbers_are_decimal(number: u64) {
            let mut line = Vec::new();
            push_number(&mut line, number, 1);
            prop_assert_eq!(String::from_utf8(line).unwrap(), number.to_string());
        }
    }
}
