//! Follows the messages of an HTTP/1 connection as their bytes arrive: where each begins and ends,
//! and whether its head says so without doubt.
//!
//! hyper takes a request with both `Content-Length` and `Transfer-Encoding`, drops the former and
//! closes afterwards, and folds equal lengths into one. That is allowed (RFC 9112, section 6.3) and
//! safe for us, since we write every message anew; but whoever sends it is confused or attacks a
//! proxy before us, and gets 400. So does who ends lines with LF alone, which others may not take for
//! an end (RFC 9112, section 2.2).
//!
//! It refuses nothing itself: what hyper refuses is merely lost sight of.

/// What a head says about where its message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Clear,
    Ambiguous,
}

/// Of the lines that matter, this much is looked at: `transfer-encoding: chunked` with room to spare.
const KEPT: usize = 64;
/// Of the others, enough to know an empty one.
const BEGINNING: usize = 2;

#[derive(Debug)]
pub(super) struct HeadScan {
    at: At,
    /// The beginning of the current line.
    line: Vec<u8>,
    /// The byte before the next one.
    last: u8,
    /// The heads that are complete.
    heads: u64,
    /// The number of the head, from 1, whose message ends nobody knows where.
    ambiguous: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
enum At {
    /// Before the first byte of a request line.
    Start,
    Head(Head),
    Body {
        left: u64,
    },
    ChunkSize,
    Chunk {
        left: u64,
    },
    Trailers,
    Lost,
}

/// The lines of a head that say where its message ends.
#[derive(Debug, Clone, Copy, Default)]
struct Head {
    /// Whether its request line has come.
    has_begun: bool,
    lengths: usize,
    length: Option<u64>,
    codings: usize,
    is_chunked: bool,
    /// A line that ends without CR: some take that for the end of a line, and some do not.
    has_bare_ends: bool,
}

impl Default for HeadScan {
    fn default() -> Self {
        Self { at: At::Start, line: Vec::new(), last: 0, heads: 0, ambiguous: None }
    }
}

impl HeadScan {
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = match &mut self.at {
                At::Lost => return,
                At::Body { left } | At::Chunk { left } => {
                    let taken = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    *left -= taken as u64;
                    taken
                }
                At::Start | At::Head(_) | At::ChunkSize | At::Trailers => self.feed_line(bytes),
            };
            bytes = &bytes[taken..];
            match self.at {
                At::Body { left: 0 } => self.at = At::Start,
                // Its line end makes one more line of a size.
                At::Chunk { left: 0 } => self.at = At::ChunkSize,
                _ => {}
            }
        }
    }

    /// How many heads are complete.
    pub(super) fn heads(&self) -> u64 {
        self.heads
    }

    pub(super) fn ambiguous(&self) -> Option<u64> {
        self.ambiguous
    }

    /// Whether nothing of a message has come that is not complete.
    pub(super) fn is_between(&self) -> bool {
        matches!(self.at, At::Start)
    }

    /// Whether a head has begun and is not complete.
    pub(super) fn is_in_head(&self) -> bool {
        matches!(self.at, At::Head(_))
    }

    /// Whether the request line has begun and is not complete.
    pub(super) fn is_in_request_line(&self) -> bool {
        matches!(self.at, At::Head(Head { has_begun: false, .. }))
    }

    /// Up to the end of the line, if it is there. How much was taken.
    fn feed_line(&mut self, bytes: &[u8]) -> usize {
        if let At::Start = self.at {
            self.at = At::Head(Head::default());
        }
        let Some(end) = bytes.iter().position(|&b| b == b'\n') else {
            self.keep(bytes);
            return bytes.len();
        };
        self.keep(&bytes[..end]);
        if let At::Head(head) = &mut self.at {
            head.has_bare_ends |= self.last != b'\r';
        }
        self.at = self.next();
        self.last = b'\n';
        self.line.clear();
        end + 1
    }

    fn keep(&mut self, bytes: &[u8]) {
        let first = self.line.first().or(bytes.first());
        let matters = match self.at {
            At::Head(_) => first.is_some_and(|b| matches!(b.to_ascii_lowercase(), b'c' | b't')),
            _ => true,
        };
        let room = if matters { KEPT } else { BEGINNING }.saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.last = bytes.last().copied().unwrap_or(self.last);
    }

    /// Where a complete line leads.
    fn next(&mut self) -> At {
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        match self.at {
            At::Head(head) if line.is_empty() => self.end_head(head),
            At::Head(head) => At::Head(head.with(line)),
            At::ChunkSize => chunk(line),
            At::Trailers if line.is_empty() => At::Start,
            other => other,
        }
    }

    fn end_head(&mut self, head: Head) -> At {
        if !head.has_begun {
            // Empty lines before the first one are to be ignored (RFC 9112, section 2.2).
            return At::Start;
        }
        self.heads += 1;
        if head.lengths > 1 || (head.lengths > 0 && head.codings > 0) || head.has_bare_ends {
            self.ambiguous.get_or_insert(self.heads);
            return At::Lost;
        }
        match (head.codings, head.lengths, head.length) {
            (0, 0, _) | (0, _, Some(0)) => At::Start,
            (0, _, Some(left)) => At::Body { left },
            (1, ..) if head.is_chunked => At::ChunkSize,
            _ => At::Lost,
        }
    }
}

impl Head {
    fn with(mut self, line: &[u8]) -> Self {
        let mut parts = line.splitn(2, |&b| b == b':');
        let name = parts.next().unwrap_or_default();
        let value = parts.next().unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            self.lengths += 1;
            self.length = number(value, 10);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.codings += 1;
            self.is_chunked = value.eq_ignore_ascii_case(b"chunked");
        }
        self.has_begun = true;
        self
    }
}

/// A line with a chunk's size, or the one that ends the chunk before.
fn chunk(line: &[u8]) -> At {
    let size = line.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
    match number(size, 16) {
        _ if line.is_empty() => At::ChunkSize,
        Some(0) => At::Trailers,
        Some(left) => At::Chunk { left },
        None => At::Lost,
    }
}

fn number(text: &[u8], radix: u32) -> Option<u64> {
    let digits = std::str::from_utf8(text).ok().filter(|text| !text.starts_with('+'))?;
    u64::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The whole at once, byte by byte, and in pieces of 7.
    fn scans(text: &str) -> [HeadScan; 3] {
        [1, 7, text.len().max(1)].map(|size| {
            let mut scan = HeadScan::default();
            text.as_bytes().chunks(size).for_each(|chunk| scan.feed(chunk));
            scan
        })
    }

    fn check(text: &str, heads: u64, ambiguous: Option<u64>) {
        for scan in scans(text) {
            assert_eq!((scan.heads(), scan.ambiguous()), (heads, ambiguous), "{text:?}");
        }
    }

    fn check_between(text: &str, expected: bool) {
        for scan in scans(text) {
            assert_eq!(scan.is_between(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_message_with_one_end_is_clear() {
        check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1, None);
        check("\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 1, None);
        check("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 1, None);
        check("POST / HTTP/1.1\r\nX-Content-Length: 3\r\nContent-Length: 3\r\n\r\n", 1, None);
    }

    #[test]
    fn a_message_with_two_ends_is_ambiguous() {
        for lines in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            "transfer-encoding: chunked\ncontent-LENGTH: 3\n",
            "Content-Length: 3\r\nContent-Length: 3\r\n",
        ] {
            check(&format!("POST / HTTP/1.1\r\n{lines}\r\n"), 1, Some(1));
        }
    }

    #[test]
    fn a_pipelined_message_is_looked_at_as_well() {
        let ambiguous = "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx";
        for first in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n\r\n\r\nx",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\na\n\n\r\n0A\r\n0123456789\r\n0\r\nT: 1\r\n\r\n",
        ] {
            check(first, 1, None);
            check_between(first, true);
            check(&format!("{first}{first}{ambiguous}"), 3, Some(3));
        }
    }

    #[test]
    fn a_body_is_not_read_as_a_head() {
        let body = "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n";
        let length = body.len();
        check(&format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}"), 1, None);
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        check(&format!("{chunked}{length:x}\r\n{body}\r\n0\r\n\r\n"), 1, None);
    }

    #[test]
    fn lines_end_with_both_bytes() {
        check("GET / HTTP/1.1\nHost: a\r\n\r\n", 1, Some(1));
        check("GET / HTTP/1.1\r\nHost: a\n\r\n", 1, Some(1));
        check("GET / HTTP/1.1\r\nHost: a\r\n\n", 1, Some(1));
        check("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 1, None);
    }

    #[test]
    fn it_knows_when_something_is_still_to_come() {
        check_between("", true);
        check_between("GET / HTTP/1.1\r\nHost: a\r\n", false);
        check_between("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", false);
        check_between("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", false);
        assert!(scans("GET / HTTP/1.1\r\nHo").iter().all(HeadScan::is_in_head));
        assert!(!scans("\r\n").iter().any(HeadScan::is_in_head));
    }

    #[test]
    fn what_it_does_not_understand_it_loses_sight_of() {
        let next = "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n";
        for lines in ["Content-Length: +3", "Content-Length: x", "Transfer-Encoding: gzip, chunked"] {
            check(&format!("POST / HTTP/1.1\r\n{lines}\r\n\r\n{next}"), 1, None);
        }
        check(&format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{next}"), 1, None);
    }

    proptest! {
        #[test]
        fn no_bytes_confuse_it_and_pieces_make_no_difference(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), any::<u8>()], 0..400),
            size in 1_usize..50,
        ) {
            let mut whole = HeadScan::default();
            whole.feed(&bytes);
            let mut pieces = HeadScan::default();
            bytes.chunks(size).for_each(|chunk| pieces.feed(chunk));
            prop_assert_eq!(format!("{whole:?}"), format!("{pieces:?}"));
        }

        #[test]
        fn messages_are_counted_however_they_arrive(
            bodies in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..60)), 1..6),
            size in 1_usize..50,
        ) {
            let mut bytes = Vec::new();
            for (chunked, body) in &bodies {
                bytes.extend_from_slice(b"POST / HTTP/1.1\r\nHost: a\r\n");
                if *chunked {
                    bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                    for piece in body.chunks(7) {
                        bytes.extend_from_slice(format!("{:X}\r\n", piece.len()).as_bytes());
                        bytes.extend_from_slice(piece);
                        bytes.extend_from_slice(b"\r\n");
                    }
                    bytes.extend_from_slice(b"0\r\n\r\n");
                } else {
                    bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
                    bytes.extend_from_slice(body);
                }
            }
            let mut scan = HeadScan::default();
            bytes.chunks(size).for_each(|chunk| scan.feed(chunk));
            prop_assert_eq!((scan.heads(), scan.ambiguous(), scan.is_between()), (bodies.len() as u64, None, true));
        }
    }
}
