//! A response body on its way from an instance to the client.
//!
//! It owns the [`Lease`], so the instance counts as busy until the client has everything or has
//! gone; and the connection, which goes back to the pool only if both messages on it have ended.
//! Where the client leaves early, what it was sending is given up, too.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Response, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::connection::Connection;
use super::exchange::Watched;
use super::grpc;
use super::stall::Bounds;
use super::upload::is_cut;
use super::upstream::Lease;

/// Why a response body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum BrokenBody {
    #[error("read the response body")]
    Instance(#[from] hyper::Error),
    #[error("read the response body: the instance left it")]
    Cut,
    #[error("read the response body: nothing came for {0:?}")]
    Idle(Duration),
    #[error("read the response body before the deadline")]
    Overdue,
}

#[derive(Debug)]
pub(super) struct ProxiedBody {
    /// Until it is given up.
    incoming: Option<Incoming>,
    version: Version,
    ended: bool,
    /// Since when nothing has come.
    waiting: Option<Instant>,
    on_deadline: OnDeadline,
    connection: Option<Connection>,
    reusable: bool,
    watched: Watched,
    lease: Lease,
}

/// How the client learns that the time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnDeadline {
    Break,
    /// As gRPC has it: the status of a call comes last.
    Trailers,
}

impl OnDeadline {
    pub(super) fn of(call: Option<&grpc::Call>) -> Self {
        match call {
            Some(call) if call.reads_trailers() => Self::Trailers,
            _ => Self::Break,
        }
    }
}

impl ProxiedBody {
    pub(super) fn of(
        response: Response<Incoming>,
        connection: Connection,
        watched: Watched,
        on_deadline: OnDeadline,
        lease: Lease,
    ) -> Response<Self> {
        let version = response.version();
        let patience = watched.patience.for_body(response.headers());
        let watched = Watched { patience, ..watched };
        let reusable = !has_two_ends(response.headers());
        response.map(|incoming| Self {
            incoming: Some(incoming),
            version,
            ended: false,
            waiting: None,
            on_deadline,
            connection: Some(connection),
            reusable,
            watched,
            lease,
        })
    }

    /// How long its client may take.
    pub(super) fn bounds(&self) -> Bounds {
        let patience = &self.watched.patience;
        Bounds { idle: patience.idle, deadline: patience.deadline }
    }

    fn poll_incoming(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *incoming).poll_frame(context));
        if frame.is_none() && is_cut(self.version, incoming) {
            return Poll::Ready(Some(Err(BrokenBody::Cut)));
        }
        self.waiting = None;
        self.ended = is_last(frame.as_ref());
        Poll::Ready(frame.map(|frame| frame.map_err(BrokenBody::from)))
    }

    /// Ready when nothing has come for too long.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<BrokenBody> {
        let since = *self.waiting.get_or_insert_with(Instant::now);
        let Some(connection) = &mut self.connection else { return Poll::Pending };
        loop {
            let (due, late) = due(&self.watched, since);
            ready!(connection.timer.poll(due, context));
            if due == self::due(&self.watched, since).0 {
                return Poll::Ready(late);
            }
        }
    }

    /// Takes back what was asked, and tells the client.
    fn give_up(&mut self, late: BrokenBody) -> Result<Frame<Bytes>, BrokenBody> {
        self.incoming = None;
        self.connection = None;
        match (&late, self.on_deadline) {
            (BrokenBody::Overdue, OnDeadline::Trailers) => Ok(Frame::trailers(grpc::deadline_trailers())),
            _ => Err(late),
        }
    }

    fn has_ended(&self) -> bool {
        // hyper does not ask for the end of a body whose length it knows.
        self.ended || self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }
}

/// When it is too late for the next frame. What the client sends is a sign of life, too.
fn due(watched: &Watched, since: Instant) -> (Instant, BrokenBody) {
    let patience = &watched.patience;
    let active = watched.upload.as_ref().map_or(since, |upload| upload.last_progress().max(since));
    let due = active + patience.idle;
    match patience.deadline {
        Some(deadline) if deadline < due => (deadline, BrokenBody::Overdue),
        _ => (due, BrokenBody::Idle(patience.idle)),
    }
}

impl Body for ProxiedBody {
    type Data = Bytes;
    type Error = BrokenBody;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        match self.poll_incoming(context) {
            Poll::Ready(frame) => Poll::Ready(frame),
            Poll::Pending => {
                let late = ready!(self.poll_late(context));
                Poll::Ready(Some(self.give_up(late)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

/// Who frames a message in two ways may mean the bytes after it in a third (RFC 9112, section 6.3).
fn has_two_ends(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH)
}

/// Nothing comes after trailers, and not everybody asks again.
fn is_last<E>(frame: Option<&Result<Frame<Bytes>, E>>) -> bool {
    match frame {
        None => true,
        Some(Ok(frame)) => frame.is_trailers(),
        Some(Err(_)) => false,
    }
}

impl Drop for ProxiedBody {
    fn drop(&mut self) {
        let sent = self.watched.upload.as_ref().is_none_or(|upload| upload.is_complete());
        let over = self.has_ended() && sent && self.reusable;
        if let (true, Some(connection)) = (over, self.connection.take()) {
            self.lease.give_back(connection);
        } else if let Some(upload) = &self.watched.upload {
            upload.withdraw();
        }
    }
}
