//! Serves [`Control`] on a unix socket.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::Listener;
use axum::{Json, Router};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::net::unix::SocketAddr;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use super::wire::{Change, Control, Message};
use crate::model::event::Event;
use crate::model::explanation::Question;

type Shared = Arc<dyn Control>;

/// The longest path that a unix socket can have on Linux, without its terminating zero.
pub const MAX_SOCKET_PATH: usize = 107;

/// Binds the admin socket, in a folder that only its owner can enter. A socket left by a dead
/// process is replaced: whoever calls this holds the platform's lock.
///
/// # Errors
/// What the operating system says, or that the path is too long for a socket.
pub fn bind(path: &Path) -> std::io::Result<UnixListener> {
    let length = path.as_os_str().len();
    if length > MAX_SOCKET_PATH {
        let reason = format!("its path has {length} bytes and a socket's may have {MAX_SOCKET_PATH}");
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, reason));
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves whoever comes until `shut`, and those that came until `over`: from then on what was asked is
/// still answered, and nothing else.
pub async fn run(
    listener: UnixListener,
    control: Shared,
    shut: CancellationToken,
    over: CancellationToken,
) -> std::io::Result<()> {
    let entrance = Entrance { listener, shut };
    axum::serve(entrance, router(control)).with_graceful_shutdown(over.cancelled_owned()).await
}

/// A listener that takes nobody any more once it is shut; what it has taken is not its concern.
struct Entrance {
    listener: UnixListener,
    shut: CancellationToken,
}

impl Listener for Entrance {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (UnixStream, SocketAddr) {
        tokio::select! {
            biased;
            () = self.shut.cancelled() => std::future::pending().await,
            // Nobody is lost by dropping the wait: who was not accepted is in the socket.
            accepted = Listener::accept(&mut self.listener) => accepted,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

fn router(control: Shared) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/routes", get(routes))
        .route("/v1/routes/explain", post(explain))
        .route("/v1/traffic", get(traffic))
        .route("/metrics", get(metrics))
        .route("/v1/events", get(events))
        .route("/v1/plan", post(plan))
        .route("/v1/changes", post(change))
        .route("/v1/stop", post(stop))
        .with_state(control)
}

async fn status(State(control): State<Shared>) -> Response {
    Json(control.status().await).into_response()
}

async fn routes(State(control): State<Shared>) -> Response {
    Json(control.routes().await).into_response()
}

async fn explain(State(control): State<Shared>, Json(question): Json<Question>) -> Response {
    Json(control.explain(question).await).into_response()
}

async fn traffic(State(control): State<Shared>) -> Response {
    Json(control.traffic().await).into_response()
}

async fn metrics(State(control): State<Shared>) -> Response {
    let (kind, text) = control.metrics().await;
    ([(http::header::CONTENT_TYPE, kind)], text).into_response()
}

#[derive(Deserialize)]
struct EventsQuery {
    #[serde(default)]
    from_start: bool,
    /// Whether to end with what has happened so far.
    #[serde(default)]
    past_only: bool,
}

async fn events(State(control): State<Shared>, Query(query): Query<EventsQuery>) -> Response {
    if query.past_only {
        return lines(futures_util::stream::iter(control.past_events()).map(Message::Event));
    }
    lines(control.events(query.from_start).map(Message::Event))
}

async fn plan(State(control): State<Shared>, Json(services): Json<Option<BTreeSet<String>>>) -> Response {
    Json(control.plan(services).await).into_response()
}

/// Streams what happens while the change is made, then its outcome.
async fn change(State(control): State<Shared>, Json(change): Json<Change>) -> Response {
    // Subscribed before the change begins, so that none of its events is missed.
    let events = control.events(false);
    let done = async move {
        match control.change(change).await {
            Ok(outcome) => Message::Outcome(outcome),
            Err(refusal) => Message::Refused(refusal),
        }
    };
    lines(until(events, done))
}

async fn stop(State(control): State<Shared>) -> Response {
    let events = control.events(false);
    control.stop();
    lines(events.map(Message::Event))
}

/// The events that come before `last` is there, then `last` itself.
fn until(
    events: impl futures_util::Stream<Item = Event> + Send + 'static,
    last: impl Future<Output = Message> + Send + 'static,
) -> impl futures_util::Stream<Item = Message> + Send + 'static {
    let last = Box::pin(last);
    let events = Box::pin(events);
    futures_util::stream::unfold(Some((events, last)), |state| async {
        let (mut events, mut last) = state?;
        tokio::select! {
            biased;
            // Events first: the outcome is only known after them.
            Some(event) = events.next() => Some((Message::Event(event), Some((events, last)))),
            message = &mut last => Some((message, None)),
        }
    })
}

fn lines(documents: impl futures_util::Stream<Item = impl Serialize> + Send + 'static) -> Response {
    let lines = documents.map(|document| {
        let mut line =
            serde_json::to_vec(&document).expect("wire types have string keys and no failing Serialize");
        line.push(b'\n');
        Ok::<_, Infallible>(line)
    });
    ([(http::header::CONTENT_TYPE, "application/jsonl")], Body::from_stream(lines)).into_response()
}
