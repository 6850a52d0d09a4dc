//! A response body on its way from an instance to the client.
//!
//! It owns the [`Lease`], so the instance counts as busy until the client has everything or has
//! gone; and the connection, which goes back to the pool only if both messages on it have ended.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::pool::Connection;
use super::upload::Upload;
use super::upstream::Lease;

#[derive(Debug)]
pub struct ProxiedBody {
    incoming: Incoming,
    ended: bool,
    connection: Option<Connection>,
    upload: Option<Arc<Upload>>,
    lease: Lease,
}

impl ProxiedBody {
    pub(super) fn new(
        incoming: Incoming,
        connection: Connection,
        upload: Option<Arc<Upload>>,
        lease: Lease,
    ) -> Self {
        Self { incoming, ended: false, connection: Some(connection), upload, lease }
    }
}

impl Body for ProxiedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(context));
        self.ended = frame.is_none();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for ProxiedBody {
    fn drop(&mut self) {
        // hyper does not ask for the end of a body whose length it knows.
        let received = self.ended || self.incoming.is_end_stream();
        let sent = self.upload.as_ref().is_none_or(|upload| upload.is_complete());
        if let (true, true, Some(connection)) = (received, sent, self.connection.take()) {
            self.lease.give_back(connection);
        }
    }
}
