//! One connection to an instance, of either protocol, as a request sees it.
//!
//! One of HTTP/1.1 carries a request at a time and belongs to it. One of HTTP/2, spoken by prior
//! knowledge (RFC 9113, section 3.3), is shared: each request has a stream of it.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::outgoing_head;
use super::patience::LazyTimer;
use super::upload::RequestBody;

/// Larger reads than this cost memory and gain nothing, as measured with bodies of 1 MiB.
const BUFFER: usize = 128 * 1024;

/// At most so many requests share a connection, whatever the instance allows.
const STREAMS: usize = 100;
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// gRPC servers end connections on which pings come more often than every five minutes (their
/// protection against ping floods). A process that dies on this machine is noticed without.
const PING_INTERVAL: Duration = Duration::from_secs(310);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Why an instance could not be reached. No byte of the request was written.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("connect: no answer within {0:?}")]
    Late(Duration),
    #[error("connect")]
    Refused(#[source] io::Error),
    #[error("begin to speak HTTP")]
    Handshake(#[source] hyper::Error),
    #[error("connect before the instance was gone")]
    Gone,
}

/// Whether a connection has served a request before: only then can its failure mean no more than
/// that the other side closed it while it was idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    Fresh,
    Reused,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) sender: Sender,
    pub(super) age: Age,
    /// For the waits of the requests on it, one after the other.
    pub(super) timer: LazyTimer,
}

#[derive(Debug)]
pub(super) enum Sender {
    Http1(http1::SendRequest<RequestBody>),
    Http2(Stream),
}

/// The request comes back with the error where nothing of it was written.
pub(super) type Failed = TrySendError<Request<RequestBody>>;

impl Sender {
    pub(super) async fn send(
        &mut self,
        request: Request<RequestBody>,
        age: Age,
    ) -> Result<Response<Incoming>, Failed> {
        match self {
            Self::Http1(sender) => sender.try_send_request(outgoing_head::for_http1(request)).await,
            Self::Http2(Stream(shared)) => {
                let mut sender = shared.sender.clone();
                let answer = sender.try_send_request(outgoing_head::for_http2(request)).await;
                if age == Age::Fresh {
                    shared.settings.wake();
                }
                answer
            }
        }
    }
}

impl Connection {
    /// Nobody else is to begin anything on it.
    pub(super) fn retire(&self) {
        if let Sender::Http2(Stream(shared)) = &self.sender {
            shared.retired.store(true, Ordering::Release);
        }
    }
}

/// The handle ends the task that drives the connection, and with it the connection.
pub(super) async fn open_http1(
    address: SocketAddr,
    patience: Duration,
) -> Result<(http1::SendRequest<RequestBody>, AbortHandle), ConnectError> {
    let stream = connect(address, patience).await?;
    let handshake = http1::Builder::new().max_buf_size(BUFFER).handshake(stream);
    let (sender, driver) = handshake.await.map_err(ConnectError::Handshake)?;
    // Its errors reach the requests on it; there is nobody else to tell.
    let task = tokio::spawn(async move { drop(driver.with_upgrades().await) });
    Ok((sender, task.abort_handle()))
}

async fn connect(address: SocketAddr, patience: Duration) -> Result<TokioIo<TcpStream>, ConnectError> {
    let connecting = timeout(patience, TcpStream::connect(address)).await;
    let stream = connecting.map_err(|_| ConnectError::Late(patience))?.map_err(ConnectError::Refused)?;
    stream.set_nodelay(true).map_err(ConnectError::Refused)?;
    Ok(TokioIo::new(stream))
}

/// A connection of HTTP/2 that requests share.
#[derive(Debug)]
pub(super) struct Shared {
    sender: http2::SendRequest<RequestBody>,
    streams: AtomicUsize,
    /// What the instance allows.
    most: Arc<AtomicUsize>,
    /// Has `most` looked up. An instance says it before its first answer.
    settings: Arc<AtomicWaker>,
    retired: AtomicBool,
}

impl Shared {
    pub(super) async fn open(
        address: SocketAddr,
        patience: Duration,
    ) -> Result<(Arc<Self>, Option<AbortHandle>), ConnectError> {
        let stream = connect(address, patience).await?;
        let tasks = ConnectionTasks::default();
        let handshake = http2::Builder::new(tasks.clone())
            .timer(TokioTimer::new())
            .initial_max_send_streams(STREAMS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(64 * 1024)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .handshake(stream);
        let (sender, driver) = handshake.await.map_err(ConnectError::Handshake)?;
        let most = Arc::new(AtomicUsize::new(STREAMS));
        let settings = Arc::<AtomicWaker>::default();
        tokio::spawn(drive(driver, Arc::clone(&most), Arc::clone(&settings)));
        let (streams, retired) = (AtomicUsize::new(0), AtomicBool::new(false));
        let shared = Arc::new(Self { sender, streams, most, settings, retired });
        Ok((shared, tasks.connection.get().cloned()))
    }

    pub(super) fn is_usable(&self) -> bool {
        !self.retired.load(Ordering::Acquire) && !self.sender.is_closed()
    }

    pub(super) fn streams(&self) -> usize {
        self.streams.load(Ordering::Acquire)
    }

    pub(super) fn has_room(&self) -> bool {
        self.streams() < self.most.load(Ordering::Relaxed).min(STREAMS)
    }

    pub(super) fn begin(self: &Arc<Self>) -> Stream {
        self.streams.fetch_add(1, Ordering::AcqRel);
        Stream(Arc::clone(self))
    }
}

type Driver = http2::Connection<TokioIo<TcpStream>, RequestBody, ConnectionTasks>;

/// Hands requests to the connection, and keeps an eye on how many at once the instance allows.
async fn drive(driver: Driver, most: Arc<AtomicUsize>, settings: Arc<AtomicWaker>) {
    let mut driver = pin!(driver);
    let driving = poll_fn(|context| {
        settings.register(context.waker());
        let ended = driver.as_mut().poll(context);
        most.store(driver.current_max_send_streams(), Ordering::Relaxed);
        ended
    });
    // Its errors reach the requests on it; there is nobody else to tell.
    drop(driving.await);
}

/// One request's part of a shared connection.
#[derive(Debug)]
pub(super) struct Stream(Arc<Shared>);

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Runs what belongs to one connection of HTTP/2. The first task is the connection itself, and the
/// others end with it.
#[derive(Debug, Clone, Default)]
struct ConnectionTasks {
    connection: Arc<OnceLock<AbortHandle>>,
}

impl<F> Executor<F> for ConnectionTasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        let task = tokio::spawn(task);
        self.connection.get_or_init(|| task.abort_handle());
    }
}
