//! A client's connection, with what hyper does not do for one.
//!
//! *Waits.* hyper has one timeout for the head of a request that also runs while the connection
//! rests, and none at all until it knows the protocol. Here a connection may rest for long between
//! requests, but once the first byte of a head has come the rest must follow soon. No timer is touched on
//! the way of an ordinary request: one is armed only when a read finds nothing, and is left to run out.
//!
//! *Words of our own.* Informational responses go out before the final one, and where hyper refuses a
//! malformed head with an empty response, a problem document takes its place.
//!
//! *The end.* Who is refused while still sending would never read why: closing with bytes unread is a
//! reset, which takes the answer with it. So the rest is read for a while first (RFC 9112, section 9.6).

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::access_log::Origin;
pub(super) use super::activity::{Activity, Busy};
use super::client_stream::ClientStream;
use super::connections::Place;
pub(super) use super::head_scan::Framing;
use super::head_scan::HeadScan;
use super::limits::Limits;
use super::malformed;

#[derive(Debug)]
pub(super) struct ClientIo {
    stream: ClientStream,
    activity: Arc<Activity>,
    limits: Arc<Limits>,
    origin: Origin,
    /// Of `activity`, when the current wait began.
    begun: u64,
    wait: Wait,
    scan: HeadScan,
    timer: Pin<Box<Sleep>>,
    own: Own,
    farewell: Farewell,
    /// The client has taken nothing of what was last written.
    blocked: bool,
    /// Held for as long as the socket is open, tunnels included.
    _place: Place,
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

/// Bytes that hyper knows nothing of and that go out before any more of its own.
#[derive(Debug, Default)]
struct Own {
    bytes: Vec<u8>,
    written: usize,
    /// So many bytes of hyper's are left out for them.
    stands_for: usize,
}

#[derive(Debug, Clone, Copy)]
enum Farewell {
    NotYet,
    Begun,
    /// Our end is closed; so many bytes more are read until the other one is.
    Said {
        left: usize,
    },
}

impl ClientIo {
    pub(super) fn new(
        stream: ClientStream,
        activity: Arc<Activity>,
        limits: Arc<Limits>,
        origin: Origin,
        place: Place,
    ) -> Self {
        // The very first head has to come as soon as any other.
        let since = Instant::now();
        let timer = Box::pin(sleep_until(since + limits.header_read));
        Self {
            stream,
            activity,
            limits,
            origin,
            begun: 0,
            wait: Wait::Head { since },
            scan: HeadScan::default(),
            timer,
            own: Own::default(),
            farewell: Farewell::NotYet,
            blocked: false,
            _place: place,
        }
    }

    /// Whether the client's next bytes are waited for, and nobody else.
    fn awaits_client(&mut self) -> bool {
        let begun = self.activity.begun();
        if begun != self.begun {
            self.begun = begun;
            self.wait = Wait::None;
        }
        if !self.activity.is_resting() {
            return false;
        }
        if let Wait::None = self.wait {
            let since = Instant::now();
            let is_in_head = self.scan.is_in_head() && !self.activity.is_opaque();
            self.wait = if is_in_head { Wait::Head { since } } else { Wait::Rest { since } };
        }
        true
    }

    fn look_at(&mut self, bytes: &[u8]) {
        if self.activity.is_opaque() {
            return;
        }
        if let Wait::Rest { .. } = self.wait {
            self.wait = Wait::Head { since: Instant::now() };
        }
        self.scan.feed(bytes);
        if let Some(request) = self.scan.ambiguous() {
            self.activity.doubts(request);
        }
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
                break;
            }
            // It was armed for an earlier wait that ended well.
            self.timer.as_mut().reset(deadline);
        }
        if self.activity.is_multiplexed() {
            // A request may be on its way: GOAWAY tells its sender whether it was seen.
            self.activity.end();
            return Poll::Pending;
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Whoever takes nothing of what is left of the last answer is waited for no longer than whoever says
    /// nothing. While requests are open, the waits are theirs.
    fn poll_blocked<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_pending() {
            self.blocked = true;
            if self.awaits_client() {
                ready!(self.poll_timer(context))?;
            }
            return Poll::Pending;
        }
        if std::mem::take(&mut self.blocked)
            && let Wait::Rest { since } = &mut self.wait
        {
            *since = Instant::now();
        }
        written
    }

    fn poll_own(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.own.written < self.own.bytes.len() {
            let rest = &self.own.bytes[self.own.written..];
            let count = ready!(Pin::new(&mut self.stream).poll_write(context, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.own.written += count;
        }
        if self.own.written > 0 {
            (self.own.bytes, self.own.written) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }

    /// Puts a document in the place of hyper's own answer to what it takes for no request. What is
    /// ready is how many of its bytes that stands for, if it is one.
    fn poll_refusal(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.activity.is_stalled() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let nothing_waits = self.own.bytes.is_empty();
        if nothing_waits && malformed::is_refusal(bytes) && self.is_without_request() {
            let bytes_of_hyper = bytes.len();
            let (problem, id) = malformed::in_place_of(bytes, &self.scan, &self.limits);
            self.origin.refuses(&problem, &id);
            self.own =
                Own { bytes: malformed::answer(&problem, &id), written: 0, stands_for: bytes_of_hyper };
        }
        ready!(self.poll_own(context))?;
        Poll::Ready(Ok(std::mem::take(&mut self.own.stands_for)))
    }

    /// Whether more heads have come, or begun to, than hyper has made requests of.
    fn is_without_request(&self) -> bool {
        let more = self.scan.heads() > self.activity.begun() || !self.scan.is_between();
        more && !self.activity.is_opaque() && !self.activity.is_busy()
    }

    fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_own(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_rest(&mut self, context: &mut Context<'_>, mut left: usize) -> Poll<io::Result<()>> {
        let mut scratch = [MaybeUninit::uninit(); 4096];
        while left > 0 && !self.activity.is_opaque() {
            let mut read = ReadBuf::uninit(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(context, &mut read) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {
                    self.scan.feed(read.filled());
                    left = left.saturating_sub(read.filled().len());
                    self.farewell = Farewell::Said { left };
                }
                // Whoever is there has seen the end.
                Poll::Ready(_) => break,
                Poll::Pending if self.scan.is_between() => break,
                Poll::Pending => {
                    ready!(self.timer.as_mut().poll(context));
                    break;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.activity.is_abused() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if self.activity.is_stalled() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.activity.is_served_by(context.waker());
        let awaits_client = self.awaits_client();
        let before = buffer.filled().len();
        if Pin::new(&mut self.stream).poll_read(context, buffer)?.is_pending() {
            return if awaits_client { self.poll_timer(context) } else { Poll::Pending };
        }
        self.look_at(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match ready!(self.poll_refusal(context, bytes))? {
            0 => {
                let written = Pin::new(&mut self.stream).poll_write(context, bytes);
                self.poll_blocked(context, written)
            }
            instead => Poll::Ready(Ok(instead)),
        }
    }

    /// hyper flushes with nothing left to write of its own: the one moment to say something between.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_own(context))?;
        if self.activity.has_news() {
            self.own.bytes = self.activity.take_news();
            // The request may wait for this to go on.
            context.waker().wake_by_ref();
            ready!(self.poll_own(context))?;
        }
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.poll_blocked(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Farewell::NotYet = self.farewell {
            let until = Instant::now() + self.limits.linger;
            self.timer.as_mut().reset(until);
            self.farewell = Farewell::Begun;
        }
        if let Farewell::Said { left } = self.farewell {
            return self.poll_rest(context, left);
        }
        let Poll::Ready(closed) = self.poll_close(context) else {
            // TLS has a last word as well, and a client that reads nothing would hold it for ever.
            return self.timer.as_mut().poll(context).map(Ok);
        };
        closed?;
        let left = self.limits.linger_bytes;
        self.farewell = Farewell::Said { left };
        self.poll_rest(context, left)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let only = match slices {
            [only] => only,
            _ => &[][..],
        };
        match ready!(self.poll_refusal(context, only))? {
            0 => {
                let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
                self.poll_blocked(context, written)
            }
            instead => Poll::Ready(Ok(instead)),
        }
    }
}

#[cfg(test)]
mod tests;
