//! The one normal form of a request path. Pure.
//!
//! What is matched, what is authorised and what is forwarded is the same text, so that the gateway
//! and a service can never read one request as two different paths. Where a path could be read in
//! two ways, it is refused. Queries are none of this module's business.

use std::borrow::Cow;

/// Why a path has no normal form. Safe to show to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    #[error("the path does not start with \"/\"")]
    NotAbsolute,
    #[error("the path has a \"%\" that is not followed by two hexadecimal digits")]
    Encoding,
    #[error("the path has an encoded \"/\", \"\\\" or NUL, which services read in different ways")]
    EncodedSeparator,
    #[error("the path has a backslash, a fragment, a space or a control character")]
    Character,
    #[error("the path climbs above its root")]
    AboveRoot,
    #[error("the path has a \".\" or \"..\" segment with a parameter")]
    DotParameter,
}

/// Decodes the unreserved characters (RFC 3986, section 2.3), writes every other escape in upper
/// case, and removes dot segments (section 5.2.4). Empty segments and `;` parameters are kept.
///
/// # Errors
/// When the path is malformed or ambiguous.
pub fn normalise(path: &str) -> Result<Cow<'_, str>, PathFault> {
    if !path.starts_with('/') {
        return Err(PathFault::NotAbsolute);
    }
    if is_plain(path) {
        return Ok(Cow::Borrowed(path));
    }
    remove_dot_segments(&decode_unreserved(path)?).map(Cow::Owned)
}

/// The segments that routes are matched by: empty ones and parameters do not count, because many
/// services ignore them too.
pub fn matched_segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').map(without_parameter).filter(|segment| !segment.is_empty())
}

/// The segments as they stand, after the leading slash.
pub fn literal_segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').skip(1)
}

/// Whether [`matched_segments`] and [`literal_segments`] may differ.
pub fn is_ambiguous(path: &str) -> bool {
    path.contains("//") || path.contains(';')
}

/// What is left of `path` after its first `count` matched segments: starts with `/`.
pub fn without_prefix(path: &str, count: usize) -> &str {
    let mut rest = path;
    let mut left = count;
    while left > 0 && !rest.is_empty() {
        let (segment, after) = split_segment(&rest[1..]);
        left -= usize::from(!without_parameter(segment).is_empty());
        rest = after;
    }
    if rest.is_empty() { "/" } else { rest }
}

/// The first segment, and the rest from its slash on.
fn split_segment(text: &str) -> (&str, &str) {
    text.split_at(text.find('/').unwrap_or(text.len()))
}

/// Most paths need no work at all; this finds them without an allocation.
fn is_plain(path: &str) -> bool {
    let bytes = path.as_bytes();
    bytes.iter().all(|&b| b.is_ascii_graphic() && !matches!(b, b'%' | b'\\' | b'#'))
        && !bytes.windows(2).any(|pair| pair == b"/.")
}

fn decode_unreserved(path: &str) -> Result<String, PathFault> {
    let mut decoded = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => push_escaped(&mut decoded, escaped_byte(&mut bytes)?)?,
            b'\\' | b'#' | 0..=b' ' | 0x7f => return Err(PathFault::Character),
            0x80.. => push_escape(&mut decoded, byte),
            _ => decoded.push(char::from(byte)),
        }
    }
    Ok(decoded)
}

fn escaped_byte(bytes: &mut std::str::Bytes<'_>) -> Result<u8, PathFault> {
    let mut digit = || {
        let digit = char::from(bytes.next()?).to_digit(16)?;
        u8::try_from(digit).ok()
    };
    match (digit(), digit()) {
        (Some(high), Some(low)) => Ok(high << 4 | low),
        _ => Err(PathFault::Encoding),
    }
}

fn push_escaped(decoded: &mut String, byte: u8) -> Result<(), PathFault> {
    match byte {
        b'/' | b'\\' | 0 => return Err(PathFault::EncodedSeparator),
        b'-' | b'.' | b'_' | b'~' => decoded.push(char::from(byte)),
        _ if byte.is_ascii_alphanumeric() => decoded.push(char::from(byte)),
        _ => push_escape(decoded, byte),
    }
    Ok(())
}

fn push_escape(decoded: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    decoded.push('%');
    decoded.push(char::from(DIGITS[usize::from(byte >> 4)]));
    decoded.push(char::from(DIGITS[usize::from(byte & 0x0f)]));
}

fn remove_dot_segments(path: &str) -> Result<String, PathFault> {
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_in_dots = false;
    for segment in literal_segments(path) {
        ends_in_dots = segment == "." || segment == "..";
        match segment {
            "." => {}
            ".." => drop(kept.pop().ok_or(PathFault::AboveRoot)?),
            // Some services cut the parameter first and climb afterwards.
            _ if matches!(without_parameter(segment), "." | "..") => return Err(PathFault::DotParameter),
            _ => kept.push(segment),
        }
    }
    if ends_in_dots {
        kept.push("");
    }
    Ok(format!("/{}", kept.join("/")))
}

fn without_parameter(segment: &str) -> &str {
    segment.split_once(';').map_or(segment, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(path: &str, expected: &str) {
        let found = normalise(path).map_or_else(|fault| format!("{fault:?}"), Cow::into_owned);
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn ordinary_paths_are_borrowed_as_they_are() {
        for path in ["/", "/orders", "/orders/7/", "/a//b", "/admin;x", "/a.b/c..d", "/~a", "/{x}|y"] {
            check(path, path);
            assert!(matches!(normalise(path), Ok(Cow::Borrowed(_))), "{path}");
        }
    }

    #[test]
    fn escapes_have_one_spelling() {
        check("/%61%2D%7e", "/a-~");
        check("/a%20b%c3%a9", "/a%20b%C3%A9");
        check("/caf\u{e9}", "/caf%C3%A9");
        check("/%252e%252e/x", "/%252e%252e/x");
        check("/a%3bb", "/a%3Bb");
    }

    #[test]
    fn dot_segments_are_removed_however_they_are_written() {
        check("/a/../admin", "/admin");
        check("/a/%2e%2E/admin", "/admin");
        check("/./a/.", "/a/");
        check("/a/b/..", "/a/");
        check("/a//../b", "/a/b");
        check("/.well-known/x", "/.well-known/x");
        check("/a/...", "/a/...");
    }

    #[test]
    fn whatever_could_be_read_in_two_ways_is_refused() {
        check("/..", "AboveRoot");
        check("/%2e%2e/", "AboveRoot");
        check("/a/../../b", "AboveRoot");
        check("/x%2fadmin", "EncodedSeparator");
        check("/x%5Cadmin", "EncodedSeparator");
        check("/x%00", "EncodedSeparator");
        check("/x\\admin", "Character");
        check("/a#b", "Character");
        check("/a/..;/admin", "DotParameter");
        check("/a/%2e;x/admin", "DotParameter");
        check("/%", "Encoding");
        check("/%4", "Encoding");
        check("/%zz", "Encoding");
        check("/%+1", "Encoding");
        check("*", "NotAbsolute");
        check("", "NotAbsolute");
    }

    #[test]
    fn a_prefix_is_cut_by_segments() {
        assert_eq!(without_prefix("/orders/7", 1), "/7");
        assert_eq!(without_prefix("/orders", 1), "/");
        assert_eq!(without_prefix("/orders/", 1), "/");
        assert_eq!(without_prefix("//orders//7", 1), "//7");
        assert_eq!(without_prefix("/orders;v=1/7", 1), "/7");
        assert_eq!(without_prefix("/a/b/c", 2), "/c");
        assert_eq!(without_prefix("/a", 0), "/a");
        assert_eq!(without_prefix("/;x/orders/7", 1), "/7");
    }

    proptest! {
        #[test]
        fn the_normal_form_is_its_own_normal_form(path in "/([a.%2eEfF5c;/~\u{e9}]|%2[0-9a-fA-F]|\\.\\.){0,24}") {
            if let Ok(normal) = normalise(&path) {
                prop_assert_eq!(normalise(&normal), Ok(normal.clone()));
            }
        }

        #[test]
        fn the_normal_form_has_no_dot_segment(path in "/([a.;/]|%2e|%2E|\\.\\.|/\\./){0,24}") {
            if let Ok(normal) = normalise(&path) {
                prop_assert!(normal.starts_with('/'));
                for segment in literal_segments(&normal) {
                    prop_assert!(!matches!(without_parameter(segment), "." | ".."), "{}", normal);
                }
            }
        }
    }
}
