//! Accepts connections on bound sockets and serves them until told to stop.
//!
//! Stopping has three parts: no new connections; the open ones finish what they have begun
//! (`Connection: close`, GOAWAY); whatever is left at the deadline is aborted and counted. hyper's
//! own graceful shutdown waits for as long as its peer likes, so the deadline is ours.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client_io::{Activity, ClientIo};
use super::door::{Door, Listener};
use super::proxy::{Gateway, Session};

/// Bounds a request's head and what is buffered of bodies, per connection.
const BUFFER: usize = 64 * 1024;
/// After the system ran out of something, usually of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How a gateway stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Connections and tunnels that were still busy at the deadline.
    pub cut_off: usize,
}

/// Everything that runs on behalf of clients.
#[derive(Debug, Clone, Default)]
pub(super) struct Tasks {
    tracker: TaskTracker,
    /// Finish what has begun.
    stop: CancellationToken,
    /// End at once.
    abort: CancellationToken,
}

impl Tasks {
    pub(super) fn spawn<F>(&self, task: F) -> AbortHandle
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn_on(task, &Handle::current())
    }

    fn spawn_on<F>(&self, task: F, runtime: &Handle) -> AbortHandle
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let abort = self.abort.clone();
        let task = self.tracker.spawn_on(async move { abort.run_until_cancelled(task).await }, runtime);
        task.abort_handle()
    }
}

/// Serves `listeners` until `shutdown` completes and the open requests have ended or were cut.
pub async fn run(listeners: Vec<Listener>, gateway: Gateway, shutdown: impl Future<Output = ()>) -> Stopped {
    let tasks = Tasks::default();
    let accepting = join_all(listeners.into_iter().map(|listener| accept(listener, &gateway, &tasks)));
    tokio::select! {
        // Neither is polled again; a connection that was accepted has a task of its own.
        _ = accepting => {}
        () = shutdown => {}
    }
    finish(&tasks, gateway.limits().shutdown).await
}

async fn finish(tasks: &Tasks, deadline: Duration) -> Stopped {
    tasks.stop.cancel();
    tasks.tracker.close();
    if timeout(deadline, tasks.tracker.wait()).await.is_ok() {
        return Stopped { cut_off: 0 };
    }
    let cut_off = tasks.tracker.len();
    tasks.abort.cancel();
    tasks.tracker.wait().await;
    Stopped { cut_off }
}

async fn accept(listener: Listener, gateway: &Gateway, tasks: &Tasks) -> Infallible {
    let Listener { socket, door } = listener;
    let door = Arc::new(door);
    loop {
        let (stream, client) = next_connection(&socket).await;
        let (door, gateway, own) = (Arc::clone(&door), gateway.clone(), tasks.clone());
        let Some(worker) = gateway.worker() else {
            tasks.spawn(serve(stream, client, door, gateway, own));
            continue;
        };
        // Its events are to reach the thread that serves it.
        let Ok(stream) = stream.into_std() else { continue };
        let moved = async move {
            if let Ok(stream) = TcpStream::from_std(stream) {
                serve(stream, client, door, gateway, own).await;
            }
        };
        tasks.spawn_on(moved, &worker);
    }
}

async fn next_connection(socket: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match socket.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

async fn serve(stream: TcpStream, client: SocketAddr, door: Arc<Door>, gateway: Gateway, tasks: Tasks) {
    if stream.set_nodelay(true).is_err() {
        // It is closed already.
        return;
    }
    let activity = Arc::<Activity>::default();
    let stream = ClientIo::new(stream, Arc::clone(&activity), Arc::clone(gateway.limits()));
    let stop = tasks.stop.clone();
    let session = Arc::new(Session { door, client, activity, tasks });
    let service = service_fn(move |request| {
        let (gateway, session) = (gateway.clone(), Arc::clone(&session));
        async move { Ok::<_, Infallible>(gateway.handle(&session, request).await) }
    });
    let builder = protocols();
    let mut connection = std::pin::pin!(builder.serve_connection_with_upgrades(stream, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%client, %error, "connection ended");
    }
}

/// HTTP/1.1 and HTTP/2 in clear, told apart by the first bytes.
fn protocols() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // The waits of HTTP/1 are those of `ClientIo`.
    builder.http1().max_buf_size(BUFFER).header_read_timeout(None).timer(TokioTimer::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(100)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(2 << 20)
        .max_header_list_size(32 * 1024)
        .max_pending_accept_reset_streams(20)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}
