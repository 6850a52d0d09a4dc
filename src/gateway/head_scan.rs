//! Watches the lines of a request head as they arrive, for what hyper smooths over.
//!
//! hyper takes a request with both `Content-Length` and `Transfer-Encoding`, drops the former and
//! closes afterwards, and folds equal lengths into one. That is allowed (RFC 9112, section 6.3) and
//! safe for us, since we write every message anew; but whoever sends it is confused or attacks a
//! proxy before us, and gets 400. A head that was pipelined behind another request is not seen here
//! and falls back to hyper's way.

/// What a head says about where its message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Clear,
    Ambiguous,
}

/// The longest name that matters: `transfer-encoding`.
const KEPT: usize = 17;

#[derive(Debug, Default)]
pub(super) struct HeadScan {
    /// The beginning of the current line, up to [`KEPT`] bytes and one more.
    line: Vec<u8>,
    at_first_line: bool,
    lengths: usize,
    codings: usize,
    complete: bool,
}

impl HeadScan {
    pub(super) fn restart(&mut self) {
        self.line.clear();
        (self.lengths, self.codings, self.complete) = (0, 0, false);
        self.at_first_line = true;
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while !self.complete {
            let Some(end) = bytes.iter().position(|&b| b == b'\n') else {
                self.keep(bytes);
                return;
            };
            self.keep(&bytes[..end]);
            self.end_line();
            bytes = &bytes[end + 1..];
        }
    }

    pub(super) fn framing(&self) -> Framing {
        if self.lengths > 1 || (self.lengths > 0 && self.codings > 0) {
            Framing::Ambiguous
        } else {
            Framing::Clear
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = (KEPT + 1).saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end_line(&mut self) {
        if self.line == b"\r" || self.line.is_empty() {
            // Empty lines before the first one are to be ignored (RFC 9112, section 2.2).
            self.complete = !self.at_first_line;
        } else {
            self.at_first_line = false;
            let name = self.line.split(|&b| b == b':').next().unwrap_or_default();
            self.lengths += usize::from(name.eq_ignore_ascii_case(b"content-length"));
            self.codings += usize::from(name.eq_ignore_ascii_case(b"transfer-encoding"));
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &str, expected: Framing) {
        for size in [1, 7, head.len()] {
            let mut scan = HeadScan::default();
            scan.restart();
            head.as_bytes().chunks(size).for_each(|chunk| scan.feed(chunk));
            assert_eq!(scan.framing(), expected, "{head:?} in pieces of {size}");
        }
    }

    #[test]
    fn a_message_with_one_end_is_clear() {
        check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Framing::Clear);
        check("\r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", Framing::Clear);
        check("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", Framing::Clear);
        check("POST / HTTP/1.1\r\nX-Content-Length: 3\r\nContent-Length: 3\r\n\r\n", Framing::Clear);
    }

    #[test]
    fn a_message_with_two_ends_is_ambiguous() {
        check(
            "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            Framing::Ambiguous,
        );
        check("POST / HTTP/1.1\ntransfer-encoding: chunked\ncontent-LENGTH: 3\n\n", Framing::Ambiguous);
        check("POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", Framing::Ambiguous);
    }

    #[test]
    fn the_body_is_not_read_as_a_head() {
        let body = "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n";
        check(&format!("POST / HTTP/1.1\r\nContent-Length: 49\r\n\r\n{body}"), Framing::Clear);
    }
}
