//! A body that is compressed on its way (RFC 1952).
//!
//! What has been read is held back only for as long as there is more to read at once: a service that
//! pauses has everything it wrote delivered. Trailers and errors pass.
//!
//! A compressor needs a quarter of a mebibyte and is dear to make, so each thread keeps a few, and
//! there is a limit to how many are in use: past it, bodies stay as they are.

use std::cell::RefCell;
use std::fmt;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use flate2::{Compress, CompressError, Compression, Crc, FlushCompress, Status};
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};

use super::body::{Body, BodyError};
use super::stall::Bounds;

/// Measured on JSON: 6.0 : 1 at 140 MB/s; the best level gains a sixth and takes five times as long.
const LEVEL: Compression = Compression::new(2);
/// All together take 64 MiB at most.
const MOST: usize = 256;
const KEPT_BY_EACH_THREAD: usize = 8;
/// A piece of output that is handed on.
const PIECE: usize = 16 * 1024;
/// Input that is worked on before others get a turn.
const TURN: usize = 256 * 1024;

/// No name, no time, unknown system: ten bytes that say "gzip".
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

static IN_USE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static IDLE: RefCell<Vec<Compress>> = const { RefCell::new(Vec::new()) };
}

pub(super) struct Gzipped {
    plain: Body,
    state: State,
    encoder: Encoder,
    output: Vec<u8>,
}

enum State {
    /// Whether there is input that may not have reached the output yet.
    Open {
        held: bool,
    },
    Trailers(HeaderMap),
    Ended,
}

impl Gzipped {
    /// Gives the body back where too many are being compressed already.
    pub(super) fn new(plain: Body) -> ControlFlow<Body, Self> {
        let Some(encoder) = Encoder::new() else { return ControlFlow::Break(plain) };
        let state = State::Open { held: false };
        ControlFlow::Continue(Self { plain, state, encoder, output: HEADER.to_vec() })
    }

    /// How long its client may take.
    pub(super) fn bounds(&self) -> Bounds {
        self.plain.bounds()
    }

    /// Reads for as long as there is something to read, then gives what has come of it.
    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<Result<Bytes, BodyError>> {
        let mut taken = 0;
        while self.output.len() < PIECE && taken < TURN {
            match Pin::new(&mut self.plain).poll_frame(context) {
                Poll::Ready(Some(frame)) => match frame?.into_data() {
                    Ok(data) => {
                        taken += data.len();
                        self.encoder.write(&data, &mut self.output)?;
                        self.state = State::Open { held: true };
                    }
                    Err(other) => {
                        let trailers = other.into_trailers().unwrap_or_default();
                        return Poll::Ready(self.end(State::Trailers(trailers)));
                    }
                },
                Poll::Ready(None) => return Poll::Ready(self.end(State::Ended)),
                Poll::Pending if matches!(self.state, State::Open { held: true }) => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        self.encoder.flush(&mut self.output)?;
        self.state = State::Open { held: false };
        Poll::Ready(Ok(self.take_output()))
    }

    fn end(&mut self, state: State) -> Result<Bytes, BodyError> {
        self.state = state;
        self.encoder.finish(&mut self.output)?;
        Ok(self.take_output())
    }

    fn take_output(&mut self) -> Bytes {
        std::mem::take(&mut self.output).into()
    }
}

impl HttpBody for Gzipped {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Ended => Poll::Ready(None),
            State::Trailers(trailers) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            open @ State::Open { .. } => {
                self.state = open;
                let piece = ready!(self.poll_open(context));
                if piece.is_err() {
                    self.state = State::Ended;
                }
                Poll::Ready(Some(piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Ended)
    }
}

impl fmt::Debug for Gzipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gzipped").field("plain", &self.plain).finish_non_exhaustive()
    }
}

/// One stream of deflate with its checksum. `None` only while it is dropped.
struct Encoder {
    deflate: Option<Compress>,
    checksum: Crc,
}

impl Encoder {
    fn new() -> Option<Self> {
        if !claim(&IN_USE) {
            return None;
        }
        let deflate = IDLE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Compress::new(LEVEL, false));
        Some(Self { deflate: Some(deflate), checksum: Crc::new() })
    }

    fn write(&mut self, data: &[u8], output: &mut Vec<u8>) -> Result<(), CompressError> {
        self.checksum.update(data);
        self.run(data, FlushCompress::None, output)
    }

    fn flush(&mut self, output: &mut Vec<u8>) -> Result<(), CompressError> {
        self.run(&[], FlushCompress::Sync, output)
    }

    fn finish(&mut self, output: &mut Vec<u8>) -> Result<(), CompressError> {
        self.run(&[], FlushCompress::Finish, output)?;
        output.extend_from_slice(&self.checksum.sum().to_le_bytes());
        // The length, as far as it fits (RFC 1952, section 2.3.1).
        output.extend_from_slice(&self.checksum.amount().to_le_bytes());
        Ok(())
    }

    fn run(
        &mut self,
        mut data: &[u8],
        flush: FlushCompress,
        output: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        let Some(deflate) = &mut self.deflate else { return Ok(()) };
        loop {
            output.reserve(PIECE / 4);
            let before = deflate.total_in();
            let status = deflate.compress_vec(data, output, flush)?;
            let taken = usize::try_from(deflate.total_in() - before).unwrap_or(data.len());
            data = &data[taken..];
            // With room left there was nothing more to say.
            let is_through = data.is_empty() && output.len() < output.capacity();
            if status == Status::StreamEnd || is_through {
                return Ok(());
            }
        }
    }
}

/// Takes one of the places, if any is free.
fn claim(in_use: &AtomicUsize) -> bool {
    let claimed = in_use.fetch_add(1, Ordering::Relaxed) < MOST;
    if !claimed {
        in_use.fetch_sub(1, Ordering::Relaxed);
    }
    claimed
}

impl Drop for Encoder {
    fn drop(&mut self) {
        IN_USE.fetch_sub(1, Ordering::Relaxed);
        let Some(mut deflate) = self.deflate.take() else { return };
        deflate.reset();
        // A thread that is ending keeps nothing.
        let _ = IDLE.try_with(|idle| {
            let mut idle = idle.borrow_mut();
            if idle.len() < KEPT_BY_EACH_THREAD {
                idle.push(deflate);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::future::poll_fn;
    use std::io::Read;

    use http_body_util::BodyExt;
    use proptest::prelude::*;

    /// What a service writes, and where it pauses.
    struct Scripted(VecDeque<Event>);

    enum Event {
        Frame(Result<Frame<Bytes>, BodyError>),
        Pause,
    }

    impl HttpBody for Scripted {
        type Data = Bytes;
        type Error = BodyError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            match self.0.pop_front() {
                None => Poll::Ready(None),
                Some(Event::Frame(frame)) => Poll::Ready(Some(frame)),
                Some(Event::Pause) => {
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
            }
        }
    }

    fn data(bytes: &[u8]) -> Event {
        Event::Frame(Ok(Frame::data(Bytes::copy_from_slice(bytes))))
    }

    fn gzipped(events: impl IntoIterator<Item = Event>) -> Gzipped {
        match Gzipped::new(Body::boxed(Scripted(events.into_iter().collect()))) {
            ControlFlow::Continue(gzipped) => gzipped,
            ControlFlow::Break(_) => panic!("none is in use"),
        }
    }

    fn plain(compressed: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(compressed).read_to_end(&mut plain).unwrap();
        plain
    }

    /// As much as can be told from the beginning of a stream.
    fn plain_so_far(compressed: &[u8]) -> Vec<u8> {
        let mut plain = Vec::with_capacity(2 * TURN);
        let mut inflate = flate2::Decompress::new(false);
        inflate
            .decompress_vec(&compressed[HEADER.len()..], &mut plain, flate2::FlushDecompress::Sync)
            .unwrap();
        plain
    }

    #[tokio::test]
    async fn what_comes_out_is_what_went_in() {
        let text = "all work and no play ".repeat(5000);
        let (first, second) = text.as_bytes().split_at(70_000);
        let body = gzipped([data(first), Event::Pause, data(b""), data(second)]);
        let compressed = body.collect().await.unwrap().to_bytes();
        assert!(compressed.len() < text.len() / 10, "{}", compressed.len());
        assert_eq!(plain(&compressed), text.as_bytes());
    }

    #[tokio::test]
    async fn nothing_becomes_a_valid_nothing() {
        let compressed = gzipped([]).collect().await.unwrap().to_bytes();
        assert_eq!(plain(&compressed), b"");
    }

    #[tokio::test]
    async fn a_pause_delivers_what_was_written_before_it() {
        let mut body =
            gzipped([data(b"first "), data(b"second"), Event::Pause, Event::Pause, data(b" third")]);
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(plain_so_far(&first), b"first second");
        let rest = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(plain(&[first, rest].concat()), b"first second third");
        assert!(body.is_end_stream() && body.frame().await.is_none());
    }

    #[tokio::test]
    async fn a_body_that_never_pauses_is_delivered_in_pieces() {
        let mut body = gzipped((0..1000).map(|_| data(&[b'a'; 4096])));
        let first = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await.unwrap().unwrap();
        assert_eq!(plain_so_far(&first.into_data().unwrap()).len(), TURN);
    }

    #[tokio::test]
    async fn trailers_pass_and_errors_break_off() {
        let trailers = HeaderMap::from_iter([(http::header::ETAG, "x".parse().unwrap())]);
        let body = gzipped([data(b"text"), Event::Frame(Ok(Frame::trailers(trailers.clone())))]);
        let collected = body.collect().await.unwrap();
        assert_eq!(collected.trailers(), Some(&trailers));
        assert_eq!(plain(&collected.to_bytes()), b"text");
        let mut broken = gzipped([data(b"text"), Event::Frame(Err("cut".into()))]);
        assert!(broken.frame().await.unwrap().is_err());
        assert!(broken.frame().await.is_none());
    }

    #[test]
    fn a_compressor_that_was_used_before_leaves_no_trace() {
        for text in ["one one one one", "two"] {
            let mut encoder = Encoder::new().unwrap();
            let mut output = HEADER.to_vec();
            encoder.write(text.as_bytes(), &mut output).unwrap();
            if text == "two" {
                encoder.finish(&mut output).unwrap();
                assert_eq!(plain(&output), b"two");
            }
        }
    }

    #[test]
    fn there_are_only_so_many_compressors() {
        let in_use = AtomicUsize::new(MOST - 1);
        assert!(claim(&in_use));
        assert!(!claim(&in_use) && !claim(&in_use));
        in_use.fetch_sub(1, Ordering::Relaxed);
        assert!(claim(&in_use));
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_come_back(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..20)) {
            let body = gzipped(pieces.iter().flat_map(|piece| [data(piece), Event::Pause]));
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let compressed = runtime.block_on(body.collect()).unwrap().to_bytes();
            prop_assert_eq!(plain(&compressed), pieces.concat());
        }
    }
}
