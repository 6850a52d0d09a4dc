//! Accepts connections on bound sockets and serves them until told to stop.
//!
//! Stopping has three parts: no new connections; the open ones finish what they have begun
//! (`Connection: close`, GOAWAY; [`parting`](super::parting) where another process goes on); whatever
//! is left at the deadline is aborted and counted. hyper's
//! own graceful shutdown waits for as long as its peer likes, so the deadline is ours.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use http::header::CONNECTION;
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::access_log::{Origin, Recorded};
use super::client_io::{Activity, ClientIo};
use super::client_stream::ClientStream;
use super::connections::{Connections, Guest, Place};
use super::door::{Door, Listener};
use super::parting::{Farewell, Parting};
use super::preface::{self, Heard};
use super::proxy::Gateway;
use super::session::Session;
use super::stall::Streams;
use super::tls::{self, Greeting, Protocol, Secured, Tls};
use super::to_tls;

/// Bounds a request's head and what is buffered of bodies, per connection.
const BUFFER: usize = 64 * 1024;
/// After the system ran out of something, usually of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How a gateway stopped.
#[must_use = "somebody's requests may have been cut"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Connections and tunnels that were still busy at the deadline.
    pub cut_off: usize,
}

/// Everything that runs on behalf of clients.
#[derive(Debug, Clone, Default)]
pub(super) struct Tasks {
    tracker: TaskTracker,
    /// Say goodbye.
    parting: Parting,
    /// Finish what has begun.
    stop: CancellationToken,
    /// End at once.
    abort: CancellationToken,
}

impl Tasks {
    pub(super) fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

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
        // In a place of its own: what waits for something else in front of it would hold it twice.
        let (abort, task) = (self.abort.clone(), Box::pin(task));
        let task = self.tracker.spawn_on(async move { abort.run_until_cancelled(task).await }, runtime);
        task.abort_handle()
    }
}

/// Serves `listeners` until `shutdown` completes and the open requests have ended or were cut.
/// What completes it may say that another process goes on ([`Farewell`]).
pub async fn run<F: Into<Farewell>>(
    listeners: Vec<Listener>,
    gateway: Gateway,
    shutdown: impl Future<Output = F>,
) -> Stopped {
    let sweeping = gateway.connections().sweep(gateway.limits().sweep);
    tokio::select! {
        stopped = serve(listeners, &gateway, shutdown) => stopped,
        // It has no end.
        never = sweeping => match never {},
    }
}

async fn serve<F: Into<Farewell>>(
    listeners: Vec<Listener>,
    gateway: &Gateway,
    shutdown: impl Future<Output = F>,
) -> Stopped {
    let tasks = Tasks::default();
    let accepting = join_all(listeners.into_iter().map(|listener| accept(listener, gateway, &tasks)));
    let farewell = tokio::select! {
        // Neither is polled again; a connection that was accepted has a task of its own.
        _ = accepting => Farewell::Ends,
        farewell = shutdown => farewell.into(),
    };
    finish(&tasks, gateway.limits().shutdown, farewell).await
}

async fn finish(tasks: &Tasks, deadline: Duration, farewell: Farewell) -> Stopped {
    tasks.tracker.close();
    let finished = async {
        tasks.parting.linger(farewell, deadline, &tasks.tracker).await;
        tasks.stop.cancel();
        tasks.tracker.wait().await;
    };
    if timeout(deadline, finished).await.is_ok() {
        return Stopped { cut_off: 0 };
    }
    let cut_off = tasks.tracker.len();
    tasks.abort.cancel();
    tasks.tracker.wait().await;
    Stopped { cut_off }
}

async fn accept(listener: Listener, gateway: &Gateway, tasks: &Tasks) -> Infallible {
    let Listener { socket, door, tls } = listener;
    let entrance = Entrance { door: Arc::new(door), tls, gateway: gateway.clone(), tasks: tasks.clone() };
    loop {
        let (stream, client) = next_connection(&socket, gateway.connections()).await;
        let own = entrance.clone();
        let Some(worker) = gateway.worker() else {
            tasks.spawn(own.receive(stream, client));
            continue;
        };
        // Its events are to reach the thread that serves it.
        let Ok(stream) = stream.into_std() else { continue };
        let moved = async move {
            if let Ok(stream) = TcpStream::from_std(stream) {
                own.receive(stream, client).await;
            }
        };
        tasks.spawn_on(moved, &worker);
    }
}

async fn next_connection(socket: &TcpListener, connections: &Connections) -> (TcpStream, SocketAddr) {
    let mut is_known = false;
    loop {
        match socket.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                // Connections that rest have what the next one needs.
                let given_up = connections.shed();
                if !is_known {
                    tracing::warn!(%error, given_up, "failed to accept a connection");
                }
                is_known = true;
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// What every connection of a listener is served with.
#[derive(Clone)]
struct Entrance {
    door: Arc<Door>,
    tls: Option<Arc<Tls>>,
    gateway: Gateway,
    tasks: Tasks,
}

impl Entrance {
    async fn receive(self, stream: TcpStream, client: SocketAddr) {
        let activity = Arc::new(Activity::ending_with(self.tasks.stop.child_token()));
        let guest = if self.door.is_inside() { Guest::Inside } else { Guest::Client(client.ip()) };
        let gateway = &self.gateway;
        let Some(place) = gateway.connections().admit(guest, &activity, gateway.limits()) else { return };
        if stream.set_nodelay(true).is_err() {
            // It is closed already.
            return;
        }
        let known = Known { client, activity, place };
        if let Some((stream, secured)) = self.greet(stream, &known).await {
            self.serve(stream, secured, known).await;
        }
    }

    /// `None` where there is nobody to talk to.
    async fn greet(&self, stream: TcpStream, known: &Known) -> Option<(ClientStream, Option<Secured>)> {
        let Some(tls) = &self.tls else { return Some((ClientStream::Clear(stream), None)) };
        // Over before the first request, so it takes no room afterwards.
        let greeting = Box::pin(tls.greet(stream, self.gateway.limits()));
        match known.activity.ending().run_until_cancelled(greeting).await? {
            Ok(Greeting::Secure(stream, secured)) => {
                return Some((ClientStream::Secure(stream), Some(secured)));
            }
            Ok(Greeting::Plain(stream)) => refuse_in_clear(stream).await,
            Err(error) => tracing::debug!(client = %known.client, %error, "no TLS handshake"),
        }
        None
    }

    async fn serve(self, stream: ClientStream, tls: Option<Secured>, known: Known) {
        let Self { door, gateway, tasks, .. } = self;
        let Known { client, activity, place } = known;
        let observer = Arc::clone(gateway.observer());
        let origin = Origin { observer, door: door.label(), client: client.ip() };
        let limits = Arc::clone(gateway.limits());
        let stream = ClientIo::new(stream, Arc::clone(&activity), limits, origin, place);
        let mut ending = std::pin::pin!(ending(tasks.clone(), Arc::clone(&activity)));
        let spoken = tokio::select! {
            biased;
            // What was said so far is of no use if the connection ends here.
            spoken = spoken(stream, tls.as_ref()) => spoken,
            () = ending.as_mut() => return,
        };
        let Ok((protocol, stream)) = spoken else { return };
        let builder = protocols(protocol, Streams(Arc::clone(&activity)));
        let session = Arc::new(Session::new(gateway, door, client, tls, activity, tasks));
        let service = service_fn(move |request| {
            let (session, request) = (Arc::clone(&session), Box::new(request));
            // hyper has room for one on every connection, also on those that rest.
            Box::pin(async move { Ok::<_, Infallible>(answer(&session, request).await) })
        });
        let mut connection = Box::pin(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => ended,
            () = ending => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%client, %error, "connection ended");
        }
    }
}

/// A connection, before anything was read from it.
struct Known {
    client: SocketAddr,
    activity: Arc<Activity>,
    place: Place,
}

/// The request is boxed because it is handed on many times before it is sent.
async fn answer(session: &Session, request: Box<Request<Incoming>>) -> Response<Recorded> {
    let (gateway, version) = (&session.gateway, request.version());
    session.activity.hears(version);
    let mut response = match *session.door {
        Door::Redirect { port } => to_tls::answer(session, port, &request),
        _ => gateway.handle(session, request).await,
    };
    session.activity.answers().await;
    session.tasks.parting.mark(version, &mut response);
    if gateway.is_leaving() || session.activity.begun() >= gateway.limits().requests_per_connection {
        retire(session, version, response.headers_mut());
    }
    response
}

/// Completes when the connection has to finish what has begun.
async fn ending(tasks: Tasks, activity: Arc<Activity>) {
    let end = activity.ending();
    tokio::select! {
        () = end.cancelled() => return,
        () = tasks.parting.heard() => {}
    }
    if !activity.is_opaque() {
        end.cancelled().await;
    }
}

/// Lets a connection end that has served long enough, or has served a gateway that leaves.
fn retire(session: &Session, version: Version, headers: &mut HeaderMap) {
    if version == Version::HTTP_2 {
        session.activity.end();
    } else if headers.get(CONNECTION).is_none() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// To somebody who talks HTTP where TLS is spoken.
async fn refuse_in_clear(mut stream: TcpStream) {
    let text = tls::speaks_https(stream.local_addr().ok());
    // Whoever it is may have gone, and then there is nobody to tell.
    if stream.write_all(text.as_bytes()).await.is_ok() {
        let _ = stream.shutdown().await;
    }
}

/// HTTP/1.1 or HTTP/2 as it was agreed on; in clear, told apart by the first bytes.
async fn spoken(stream: ClientIo, tls: Option<&Secured>) -> io::Result<(Protocol, Heard<ClientIo>)> {
    match tls {
        Some(tls) => Ok((tls.protocol, Heard::nothing_of(stream))),
        None => preface::listen(stream).await,
    }
}

fn protocols(spoken: Protocol, streams: Streams) -> auto::Builder<Streams> {
    let builder = auto::Builder::new(streams);
    let mut builder = match spoken {
        Protocol::Http1 => builder.http1_only(),
        Protocol::Http2 => builder.http2_only(),
    };
    // The waits of HTTP/1 are those of `ClientIo`.
    builder.http1().max_buf_size(BUFFER).header_read_timeout(None).timer(TokioTimer::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .enable_connect_protocol()
        .max_concurrent_streams(100)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(2 << 20)
        .max_header_list_size(32 * 1024)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(100)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}
