//! A client's connection, with the waits that hyper does not tell apart.
//!
//! hyper has one timeout for the head of a request that also runs while the connection rests, and
//! none at all until it knows the protocol. Here a connection may rest for long between requests, but
//! once the first byte of a head has come the rest must follow soon. No timer is touched on the
//! way of an ordinary request: one is armed only when a read finds nothing, and is left to run out.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use http::{HeaderMap, StatusCode};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::client_stream::ClientStream;
pub(super) use super::head_scan::Framing;
use super::head_scan::HeadScan;
use super::limits::Limits;

/// Larger heads arrive in several reads.
const HEAD_READ: usize = 8 * 1024;

/// What the requests of a connection tell its reading side, and the other way round.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// Requests that ever began, and those of them that are not over.
    begun: AtomicU64,
    open: AtomicUsize,
    /// Requests that the client gave up before they were answered.
    abandoned: AtomicU64,
    /// Whether what is read is no HTTP/1 any more: HTTP/2 frames, or a tunnel.
    opaque: AtomicBool,
    ambiguous: AtomicBool,
}

/// So many requests may be given up on a connection before their share counts.
const TOLERATED: u64 = 100;

/// One request of a connection. The connection rests when none is left.
#[derive(Debug)]
pub(super) struct Busy {
    activity: Arc<Activity>,
    answered: bool,
}

impl Busy {
    pub(super) fn is_answered(&mut self) {
        self.answered = true;
    }
}

impl Activity {
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.open.fetch_add(1, Ordering::AcqRel);
        self.begun.fetch_add(1, Ordering::AcqRel);
        Busy { activity: Arc::clone(self), answered: false }
    }

    /// Whether the client asks for things only to give most of them up (CVE-2023-44487): each costs an
    /// instance a connection, and the client next to nothing. h2 itself bounds only those that it has
    /// not handed over yet.
    fn is_abused(&self) -> bool {
        let abandoned = self.abandoned.load(Ordering::Acquire);
        abandoned > TOLERATED && abandoned > self.begun.load(Ordering::Acquire) / 2
    }

    /// From now on the bytes are not to be looked at, nor the connection to be timed.
    pub(super) fn becomes_opaque(&self) {
        self.opaque.store(true, Ordering::Release);
    }

    /// Says something to the client before its answer, where its protocol can.
    #[expect(clippy::unused_self, reason = "nothing writes it yet")]
    pub(super) fn send_informational(&self, _status: StatusCode, _headers: &HeaderMap) {}

    pub(super) fn is_opaque(&self) -> bool {
        self.opaque.load(Ordering::Acquire)
    }

    /// The framing of the head that was read last.
    pub(super) fn take_framing(&self) -> Framing {
        if self.ambiguous.swap(false, Ordering::AcqRel) { Framing::Ambiguous } else { Framing::Clear }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.activity.abandoned.fetch_add(u64::from(!self.answered), Ordering::AcqRel);
        self.activity.open.fetch_sub(1, Ordering::AcqRel);
    }
}

#[derive(Debug)]
pub(super) struct ClientIo {
    stream: TokioIo<ClientStream>,
    activity: Arc<Activity>,
    limits: Arc<Limits>,
    /// Of `activity`, when the current wait began.
    begun: u64,
    wait: Wait,
    scan: HeadScan,
    timer: Pin<Box<Sleep>>,
}

#[derive(Debug, Clone, Copy)]
enum Wait {
    /// A request is being served; others wait for nothing here.
    None,
    Rest {
        since: Instant,
    },
    Head {
        since: Instant,
    },
}

impl ClientIo {
    pub(super) fn new(stream: ClientStream, activity: Arc<Activity>, limits: Arc<Limits>) -> Self {
        // The very first head has to come as soon as any other.
        let since = Instant::now();
        let timer = Box::pin(sleep_until(since + limits.header_read));
        let mut scan = HeadScan::default();
        scan.restart();
        let stream = TokioIo::new(stream);
        Self { stream, activity, limits, begun: 0, wait: Wait::Head { since }, scan, timer }
    }

    /// Whether the bytes to come belong to the head of a request.
    fn awaits_head(&mut self) -> bool {
        let begun = self.activity.begun.load(Ordering::Acquire);
        if begun != self.begun {
            self.begun = begun;
            self.wait = Wait::None;
        }
        if self.activity.opaque.load(Ordering::Acquire) || self.activity.open.load(Ordering::Acquire) > 0 {
            return false;
        }
        if matches!(self.wait, Wait::None) {
            self.wait = Wait::Rest { since: Instant::now() };
            self.scan.restart();
        }
        true
    }

    fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut scratch = [MaybeUninit::uninit(); HEAD_READ];
        let room = buffer.remaining().min(HEAD_READ);
        let mut read = ReadBuf::uninit(&mut scratch[..room]);
        if Pin::new(self.stream.inner_mut()).poll_read(context, &mut read)?.is_pending() {
            return self.poll_timer(context);
        }
        if let Wait::Rest { .. } = self.wait {
            self.wait = Wait::Head { since: Instant::now() };
        }
        self.scan.feed(read.filled());
        if self.scan.framing() == Framing::Ambiguous {
            self.activity.ambiguous.store(true, Ordering::Release);
        }
        buffer.put_slice(read.filled());
        Poll::Ready(Ok(()))
    }

    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let deadline = match self.wait {
            Wait::None => return Poll::Pending,
            Wait::Rest { since } => since + self.limits.client_idle,
            Wait::Head { since } => since + self.limits.header_read,
        };
        if deadline < self.timer.deadline() {
            self.timer.as_mut().reset(deadline);
        }
        loop {
            ready!(self.timer.as_mut().poll(context));
            if self.timer.deadline() >= deadline {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            // It was armed for an earlier wait that ended well.
            self.timer.as_mut().reset(deadline);
        }
    }
}

impl Read for ClientIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.activity.is_abused() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if self.awaits_head() {
            self.poll_head(context, buffer)
        } else {
            Pin::new(&mut self.stream).poll_read(context, buffer)
        }
    }
}

impl Write for ClientIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
}
