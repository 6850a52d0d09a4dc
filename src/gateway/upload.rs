//! A request body on its way to an instance: counted, bounded, and watched for progress.
//!
//! Nothing is buffered: a frame is read from the client when the instance has room for it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::headers;

/// Why a request body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum UploadError {
    #[error("the request body is longer than {0} bytes")]
    TooLarge(u64),
    #[error("read the request body")]
    Client(#[source] hyper::Error),
}

/// What became of a request body so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum UploadState {
    /// The instance has not asked for more since the last frame.
    WaitsForInstance = 0,
    WaitsForClient = 1,
    Complete = 2,
    TooLarge = 3,
    Failed = 4,
}

const STATES: [UploadState; 5] = [
    UploadState::WaitsForInstance,
    UploadState::WaitsForClient,
    UploadState::Complete,
    UploadState::TooLarge,
    UploadState::Failed,
];

/// Shared between the body, which hyper owns, and the request that watches it.
#[derive(Debug)]
pub(super) struct Upload {
    began: Instant,
    /// Of the last frame, in milliseconds since `began`.
    progress_ms: AtomicU64,
    state: AtomicU8,
}

impl Upload {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            progress_ms: AtomicU64::new(0),
            state: AtomicU8::new(UploadState::WaitsForInstance as u8),
        }
    }

    pub(super) fn state(&self) -> UploadState {
        STATES[usize::from(self.state.load(Ordering::Acquire))]
    }

    pub(super) fn is_complete(&self) -> bool {
        self.state() == UploadState::Complete
    }

    pub(super) fn last_progress(&self) -> Instant {
        self.began + Duration::from_millis(self.progress_ms.load(Ordering::Acquire))
    }

    fn enter(&self, state: UploadState) {
        self.state.store(state as u8, Ordering::Release);
    }

    fn progressed(&self) {
        let since = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.progress_ms.store(since, Ordering::Release);
    }
}

/// What is sent to instances.
#[derive(Debug)]
pub(super) enum RequestBody {
    Empty,
    Streamed { incoming: Incoming, limit: u64, sent: u64, upload: Arc<Upload> },
}

impl RequestBody {
    /// With the state to watch it by, if it has one.
    pub(super) fn new(incoming: Incoming, limit: u64) -> (Self, Option<Arc<Upload>>) {
        if incoming.is_end_stream() {
            return (Self::Empty, None);
        }
        let upload = Arc::new(Upload::new());
        let body = Self::Streamed { incoming, limit, sent: 0, upload: Arc::clone(&upload) };
        (body, Some(upload))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let Self::Streamed { incoming, limit, sent, upload } = &mut *self else {
            return Poll::Ready(None);
        };
        upload.enter(UploadState::WaitsForClient);
        let frame = ready!(Pin::new(&mut *incoming).poll_frame(context));
        upload.progressed();
        let (state, answer) = match frame {
            None => (UploadState::Complete, None),
            Some(Err(error)) => (UploadState::Failed, Some(Err(UploadError::Client(error)))),
            Some(Ok(mut frame)) => {
                if let Some(trailers) = frame.trailers_mut() {
                    headers::remove_from_trailers(trailers);
                }
                *sent += frame.data_ref().map_or(0, |data| data.len() as u64);
                match (*sent > *limit, incoming.is_end_stream()) {
                    (true, _) => (UploadState::TooLarge, Some(Err(UploadError::TooLarge(*limit)))),
                    (false, true) => (UploadState::Complete, Some(Ok(frame))),
                    (false, false) => (UploadState::WaitsForInstance, Some(Ok(frame))),
                }
            }
        };
        upload.enter(state);
        Poll::Ready(answer)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Streamed { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Streamed { incoming, .. } => incoming.size_hint(),
        }
    }
}
