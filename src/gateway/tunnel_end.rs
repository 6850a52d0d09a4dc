//! The client's end of a WebSocket tunnel: says goodbye when it is cut.
//!
//! What goes to the client is looked at just closely enough to know where a frame ends (RFC 6455,
//! section 5.2). A tunnel that is cut there, at the deadline of a drain, ends with a close frame, so
//! that clients know to come back; cut anywhere else, only the connection can end.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// "Going away", 1001 (section 7.4.1), unmasked as from a server.
const GOING_AWAY: [u8; 4] = [0x88, 0x02, 0x03, 0xE9];
const CLOSE: u8 = 0x8;

/// Counts what is said, in bytes.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    from_client: AtomicU64,
    to_client: AtomicU64,
}

impl Pulse {
    /// What the client has said, and what it was told.
    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.from_client.load(Ordering::Relaxed), self.to_client.load(Ordering::Relaxed))
    }
}

#[derive(Debug)]
pub(super) struct TunnelEnd<'p, S: AsyncWrite + Unpin> {
    stream: S,
    pulse: &'p Pulse,
    frames: Frames,
}

impl<'p, S: AsyncWrite + Unpin> TunnelEnd<'p, S> {
    pub(super) fn new(stream: S, pulse: &'p Pulse) -> Self {
        Self { stream, pulse, frames: Frames::default() }
    }
}

impl<S: AsyncWrite + Unpin> Drop for TunnelEnd<'_, S> {
    fn drop(&mut self) {
        if self.frames.may_say_goodbye() {
            // Nobody waits for it any more: what does not fit now is not said.
            let mut context = Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut self.stream).poll_write(&mut context, &GOING_AWAY);
            let _ = Pin::new(&mut self.stream).poll_flush(&mut context);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TunnelEnd<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        let heard = buffer.filled().len().saturating_sub(before);
        self.pulse.from_client.fetch_add(heard as u64, Ordering::Relaxed);
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TunnelEnd<'_, S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.pulse.to_client.fetch_add(written as u64, Ordering::Relaxed);
        self.frames.pass(&bytes[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.frames.end();
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Where in the stream of frames it is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Frames {
    #[default]
    Between,
    /// The first byte of a head has passed.
    Begun {
        close: bool,
    },
    /// So many bytes of the length are to come; what it is so far, and how long the mask.
    Length {
        left: u8,
        length: u64,
        mask: u64,
        close: bool,
    },
    Payload {
        left: u64,
        close: bool,
    },
    /// After a close frame, or the end.
    Over,
}

impl Frames {
    fn may_say_goodbye(self) -> bool {
        self == Self::Between
    }

    fn end(&mut self) {
        *self = Self::Over;
    }

    fn pass(&mut self, mut bytes: &[u8]) {
        while let Some((&first, rest)) = bytes.split_first() {
            if let Self::Payload { left, close } = *self {
                let passed = left.min(bytes.len() as u64);
                // Not longer than the slice.
                bytes = &bytes[usize::try_from(passed).unwrap_or(bytes.len())..];
                *self = payload(left - passed, close);
            } else {
                bytes = rest;
                *self = self.after(first);
            }
        }
    }

    /// After another byte of a head.
    fn after(self, byte: u8) -> Self {
        match self {
            Self::Between => Self::Begun { close: byte & 0x0F == CLOSE },
            Self::Begun { close } => {
                let mask = if byte & 0x80 == 0 { 0 } else { 4 };
                match byte & 0x7F {
                    126 => Self::Length { left: 2, length: 0, mask, close },
                    127 => Self::Length { left: 8, length: 0, mask, close },
                    length => payload(u64::from(length) + mask, close),
                }
            }
            Self::Length { left, length, mask, close } => {
                let length = length << 8 | u64::from(byte);
                match left - 1 {
                    0 => payload(length.saturating_add(mask), close),
                    left => Self::Length { left, length, mask, close },
                }
            }
            Self::Payload { .. } | Self::Over => self,
        }
    }
}

fn payload(left: u64, close: bool) -> Frames {
    match (left, close) {
        (0, true) => Frames::Over,
        (0, false) => Frames::Between,
        _ => Frames::Payload { left, close },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(opcode: u8, size: usize, masked: bool) -> Vec<u8> {
        let mut frame = vec![0x80 | opcode];
        let mask = if masked { 0x80 } else { 0 };
        match size {
            0..=125 => frame.push(mask | u8::try_from(size).unwrap()),
            126..=0xFFFF => {
                frame.push(mask | 0x7e);
                frame.extend(u16::try_from(size).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(mask | 0x7f);
                frame.extend((size as u64).to_be_bytes());
            }
        }
        frame.extend(vec![0x88; size + if masked { 4 } else { 0 }]);
        frame
    }

    #[test]
    fn after_a_close_frame_nothing_is_said() {
        let mut frames = Frames::default();
        assert!(frames.may_say_goodbye());
        frames.pass(&frame(CLOSE, 2, false));
        assert!(!frames.may_say_goodbye());
        frames.pass(&frame(1, 5, false));
        assert!(!frames.may_say_goodbye());
    }

    proptest! {
        #[test]
        fn the_ends_of_frames_are_known_however_the_bytes_come(
            sizes in proptest::collection::vec(
                prop_oneof![0_usize..10, 120..130_usize, 65_530..65_540_usize], 1..6),
            masked: bool,
            piece in 1_usize..200,
        ) {
            let mut frames = Frames::default();
            for size in sizes {
                let frame = frame(2, size, masked);
                for piece in frame[..frame.len() - 1].chunks(piece) {
                    frames.pass(piece);
                    prop_assert!(!frames.may_say_goodbye());
                }
                frames.pass(&frame[frame.len() - 1..]);
                prop_assert!(frames.may_say_goodbye());
            }
        }
    }
}
