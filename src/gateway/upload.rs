//! A request body on its way to an instance: counted, bounded, and watched for progress.
//!
//! Nothing is read ahead: a frame is taken from the client when the instance has room for it. What
//! was taken may be kept, as far as there is room, so that another attempt can send it again; only
//! the newest attempt has a say.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http::{HeaderMap, Method, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::headers;
use super::policy::retry::is_idempotent;
use crate::model::traffic::UpstreamProtocol;

/// Why a request body ended before its end. The source is what an HTTP/2 instance is told: that
/// nobody wants its answer any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum UploadError {
    #[error("the request body is longer than {limit} bytes")]
    TooLarge { limit: u64, source: h2::Error },
    #[error("read the request body: {fault}")]
    Client { fault: hyper::Error, source: h2::Error },
    #[error("the client left within the request body")]
    Cut { source: h2::Error },
    #[error("the request was given up")]
    Withdrawn { source: h2::Error },
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
    Malformed = 5,
}

const STATES: [UploadState; 6] = [
    UploadState::WaitsForInstance,
    UploadState::WaitsForClient,
    UploadState::Complete,
    UploadState::TooLarge,
    UploadState::Failed,
    UploadState::Malformed,
];

/// Shared between the bodies that are sent, one for each attempt, and the request that watches them.
#[derive(Debug)]
pub(super) struct Upload {
    began: Instant,
    /// Of the last frame, in milliseconds since `began`.
    progress_ms: AtomicU64,
    state: AtomicU8,
    /// The attempt that counts.
    attempt: AtomicU32,
    waiting: AtomicWaker,
    limit: u64,
    /// In bytes, where the client said so.
    length: Option<u64>,
    version: Version,
    source: Mutex<Source>,
}

#[derive(Debug)]
struct Source {
    incoming: Incoming,
    taken: u64,
    /// Everything that was taken; nothing once it was too much.
    kept: Option<Vec<Kept>>,
    room: usize,
}

#[derive(Debug, Clone)]
enum Kept {
    Data(Bytes),
    Trailers(HeaderMap),
}

/// What is sent to instances.
#[derive(Debug)]
pub(super) enum RequestBody {
    Empty,
    Streamed { upload: Arc<Upload>, attempt: u32, sent: Sent },
}

/// How far one attempt has come.
#[derive(Debug, Default)]
pub(super) struct Sent {
    frames: usize,
    bytes: u64,
}

/// How much of a body is kept for another attempt. Streams of HTTP/2 can be refused whatever they
/// carry; over HTTP/1 only what may be repeated is sent again once something of it was.
pub(super) fn kept_for(protocol: UpstreamProtocol, method: &Method) -> usize {
    match protocol {
        UpstreamProtocol::Http1 if !is_idempotent(method) => 0,
        _ => 64 * 1024,
    }
}

impl RequestBody {
    /// With the state to watch it by, if it has one. Up to `keep` bytes are kept for another attempt.
    pub(super) fn new(
        incoming: Incoming,
        version: Version,
        limit: u64,
        keep: usize,
    ) -> (Self, Option<Arc<Upload>>) {
        if incoming.is_end_stream() {
            return (Self::Empty, None);
        }
        let upload = Arc::new(Upload {
            began: Instant::now(),
            progress_ms: AtomicU64::new(0),
            state: AtomicU8::new(UploadState::WaitsForInstance as u8),
            attempt: AtomicU32::new(0),
            waiting: AtomicWaker::new(),
            limit,
            length: incoming.size_hint().exact(),
            version,
            source: Mutex::new(Source { incoming, taken: 0, kept: Some(Vec::new()), room: keep }),
        });
        let body = Self::Streamed { upload: Arc::clone(&upload), attempt: 0, sent: Sent::default() };
        (body, Some(upload))
    }
}

impl Upload {
    pub(super) fn state(&self) -> UploadState {
        STATES[usize::from(self.state.load(Ordering::Acquire))]
    }

    pub(super) fn is_complete(&self) -> bool {
        self.state() == UploadState::Complete
    }

    /// How many bytes were taken from the client.
    pub(super) fn taken(&self) -> u64 {
        self.lock().taken
    }

    pub(super) fn last_progress(&self) -> Instant {
        self.began + Duration::from_millis(self.progress_ms.load(Ordering::Acquire))
    }

    /// The body from its beginning, for another attempt, if everything that was taken of it is
    /// still there. The attempts before it send nothing any more.
    pub(super) fn again(self: &Arc<Self>) -> Option<RequestBody> {
        self.lock().kept.as_ref()?;
        let attempt = self.supersede();
        Some(RequestBody::Streamed { upload: Arc::clone(self), attempt, sent: Sent::default() })
    }

    /// Whether everything that was taken of it is still there.
    pub(super) fn is_kept(&self) -> bool {
        self.lock().kept.is_some()
    }

    /// Nobody wants the rest: whoever sends it is told so.
    pub(super) fn withdraw(&self) {
        self.supersede();
    }

    fn supersede(&self) -> u32 {
        let attempt = self.attempt.fetch_add(1, Ordering::AcqRel) + 1;
        self.waiting.wake();
        attempt
    }

    fn enter(&self, state: UploadState) {
        self.state.store(state as u8, Ordering::Release);
    }

    fn progressed(&self) {
        let since = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.progress_ms.store(since, Ordering::Release);
    }

    /// No code that holds this lock can leave its data half changed.
    fn lock(&self) -> MutexGuard<'_, Source> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll(
        &self,
        attempt: u32,
        sent: &Sent,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        self.waiting.register(context.waker());
        if self.attempt.load(Ordering::Acquire) != attempt {
            return Poll::Ready(Some(Err(UploadError::Withdrawn { source: cancel() })));
        }
        let mut source = self.lock();
        if let Some(kept) = source.kept.as_ref().and_then(|kept| kept.get(sent.frames)) {
            return Poll::Ready(Some(Ok(kept.clone().into())));
        }
        self.enter(UploadState::WaitsForClient);
        let frame = ready!(Pin::new(&mut source.incoming).poll_frame(context));
        self.progressed();
        let (state, answer) = self.judge(frame, &mut source);
        self.enter(state);
        Poll::Ready(answer)
    }

    fn judge(
        &self,
        frame: Option<Result<Frame<Bytes>, hyper::Error>>,
        source: &mut Source,
    ) -> (UploadState, Option<Result<Frame<Bytes>, UploadError>>) {
        let failed = |error| (UploadState::Failed, Some(Err(error)));
        match frame {
            None if is_cut(self.version, &source.incoming) => failed(UploadError::Cut { source: cancel() }),
            None => (UploadState::Complete, None),
            Some(Err(fault)) => {
                let state = if is_malformed(&fault) { UploadState::Malformed } else { UploadState::Failed };
                (state, Some(Err(UploadError::Client { fault, source: cancel() })))
            }
            Some(Ok(mut frame)) => {
                if let Some(trailers) = frame.trailers_mut() {
                    headers::remove_from_trailers(trailers);
                }
                source.take(&frame);
                if source.taken > self.limit {
                    let error = UploadError::TooLarge { limit: self.limit, source: cancel() };
                    (UploadState::TooLarge, Some(Err(error)))
                } else if frame.is_trailers() || source.incoming.is_end_stream() {
                    (UploadState::Complete, Some(Ok(frame)))
                } else {
                    (UploadState::WaitsForInstance, Some(Ok(frame)))
                }
            }
        }
    }
}

/// Rather than broken off: hyper says so of chunks that have no size.
fn is_malformed(fault: &hyper::Error) -> bool {
    let kind = fault.source().and_then(|source| source.downcast_ref::<io::Error>()).map(io::Error::kind);
    matches!(kind, Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData))
}

impl Source {
    fn take(&mut self, frame: &Frame<Bytes>) {
        let size = frame.data_ref().map_or(0, Bytes::len);
        self.taken += size as u64;
        if self.taken > self.room as u64 {
            self.kept = None;
        }
        if let Some(kept) = &mut self.kept {
            kept.extend(frame.data_ref().cloned().map(Kept::Data));
            kept.extend(frame.trailers_ref().cloned().map(Kept::Trailers));
        }
    }
}

impl From<Kept> for Frame<Bytes> {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Data(data) => Self::data(data),
            Kept::Trailers(trailers) => Self::trailers(trailers),
        }
    }
}

/// Whether a body that has no more frames did not come to its end. hyper takes a stream that its
/// sender reset without an error for one that ended; to whom it is handed on, it is not.
pub(super) fn is_cut(version: Version, body: &Incoming) -> bool {
    version == Version::HTTP_2 && !body.is_end_stream()
}

fn cancel() -> h2::Error {
    h2::Reason::CANCEL.into()
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let Self::Streamed { upload, attempt, sent } = &mut *self else {
            return Poll::Ready(None);
        };
        let frame = ready!(upload.poll(*attempt, sent, context));
        if let Some(Ok(frame)) = &frame {
            sent.frames += 1;
            sent.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Streamed { upload, sent, .. } => {
                let source = upload.lock();
                let sent_all = source.kept.as_ref().is_none_or(|kept| kept.len() <= sent.frames);
                sent_all && source.incoming.is_end_stream()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Streamed { upload, sent, .. } => match upload.length {
                Some(length) => SizeHint::with_exact(length.saturating_sub(sent.bytes)),
                None => SizeHint::default(),
            },
        }
    }
}
