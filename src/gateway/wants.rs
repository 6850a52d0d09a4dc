//! In which form a client wants to be told what went wrong (RFC 9110, section 12.5.1).
//!
//! Programs get a document; only who asks for HTML before JSON gets a page.

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    Document,
    Page,
}

impl Wants {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        match headers.get(ACCEPT).map(HeaderValue::as_bytes) {
            // What nearly every program sends, and decided without a closer look.
            None | Some(b"*/*") => Self::Document,
            Some(accept) => std::str::from_utf8(accept).map_or(Self::Document, Self::of_list),
        }
    }

    fn of_list(accept: &str) -> Self {
        let (mut page, mut document) = (0, 0);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parts.find_map(quality).unwrap_or(1000);
            match name.as_str() {
                "text/html" | "application/xhtml+xml" => page = page.max(quality),
                "application/json" | "application/problem+json" => document = document.max(quality),
                _ => {}
            }
        }
        if page > document { Self::Page } else { Self::Document }
    }
}

/// In thousandths, as RFC 9110, section 12.4.2, has it: `q=0.8` is 800.
pub(super) fn quality(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("q") {
        return None;
    }
    let (whole, fraction) = value.trim().split_once('.').unwrap_or((value.trim(), ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|b| b.is_ascii_digit());
    match (whole, digits) {
        ("0", true) => Some(thousandths(fraction)),
        ("1", true) if fraction.bytes().all(|b| b == b'0') => Some(1000),
        // What cannot be understood is not what the client wants.
        _ => Some(0),
    }
}

/// Of up to three digits.
fn thousandths(fraction: &str) -> u16 {
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(3);
    digits.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(accept: &str, expected: Wants) {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_str(accept).unwrap())]);
        assert_eq!(Wants::of(&headers), expected, "{accept}");
    }

    #[test]
    fn only_who_prefers_html_to_json_gets_a_page() {
        check("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Wants::Page);
        check("TEXT/HTML; q=0.5", Wants::Page);
        check("text/html;level=1;q=0.7, application/json;q=0.6", Wants::Page);
        check("application/json, text/html", Wants::Document);
        check("application/json, text/html;q=0.9", Wants::Document);
        check("application/problem+json", Wants::Document);
        check("text/html;q=0", Wants::Document);
        check("*/*", Wants::Document);
        check("application/json, text/plain, */*", Wants::Document);
        check("", Wants::Document);
        assert_eq!(Wants::of(&HeaderMap::new()), Wants::Document);
    }

    #[test]
    fn qualities_are_thousandths() {
        for (text, expected) in [
            ("q=1", Some(1000)),
            ("Q=1.000", Some(1000)),
            ("q=0", Some(0)),
            ("q=0.5", Some(500)),
            ("q = 0.123", Some(123)),
            ("q=0.1234", Some(0)),
            ("q=1.5", Some(0)),
            ("q=x", Some(0)),
            ("q=-1", Some(0)),
            ("level=1", None),
            ("q", None),
        ] {
            assert_eq!(quality(text), expected, "{text}");
        }
    }
}
