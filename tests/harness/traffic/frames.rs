//! As much of the WebSocket's frames (RFC 6455, section 5.2) as short messages take.

/// What the other side says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Text(String),
    /// With its code.
    Close(u16),
}

/// A message, masked with zeros: a mask protects proxies that misread, and here is none.
pub fn text(words: &str) -> Vec<u8> {
    frame(1, words.as_bytes())
}

pub fn close(code: u16) -> Vec<u8> {
    frame(8, &code.to_be_bytes())
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("messages are short");
    assert!(length < 126, "messages are short");
    [&[0x80 | kind, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

/// Takes one whole frame off the front, if it is there.
pub fn take(bytes: &mut Vec<u8>) -> Option<Result<Heard, String>> {
    let &[kind, length, ..] = bytes.as_slice() else { return None };
    let end = 2 + usize::from(length);
    if length < 126 && bytes.len() < end {
        return None;
    }
    let payload = bytes.get(2..end).unwrap_or_default().to_vec();
    bytes.drain(..end.min(bytes.len()));
    Some(match (kind, payload.as_slice()) {
        (0x81, words) if length < 126 => Ok(Heard::Text(String::from_utf8_lossy(words).into_owned())),
        (0x88, &[high, low, ..]) => Ok(Heard::Close(u16::from_be_bytes([high, low]))),
        _ => Err(format!("a frame that nobody sends: {kind:#x}, {length} bytes")),
    })
}
