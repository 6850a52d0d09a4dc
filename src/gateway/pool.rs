//! Connections to one instance: opening them, keeping the idle ones, closing them all.
//!
//! Of HTTP/1.1 the last one in is the first one out: the most recently used connection is the least
//! likely to have been closed by the other side. The list is bounded in number and in age. Of HTTP/2
//! there are few, kept while the instance is there and opened one at a time: whoever finds no room
//! waits for the one that is being opened rather than opening another.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::connection::{Age, ConnectError, Connection, Sender, Shared, open_http1};
use super::limits::Limits;
use super::patience::LazyTimer;
use super::upload::RequestBody;
use crate::model::traffic::UpstreamProtocol;

/// How many shared connections each worker has to an instance at most; where all are full, requests
/// wait in them.
const SHARED: usize = 4;

#[derive(Debug)]
pub(super) struct Pool {
    address: SocketAddr,
    limits: Arc<Limits>,
    /// How many may be idle.
    room: usize,
    kept: Arc<Mutex<Kept>>,
    /// The instance is gone.
    closed: CancellationToken,
    /// Held by whoever opens a shared connection.
    opening: tokio::sync::Mutex<()>,
}

type Http1 = (SendRequest<RequestBody>, LazyTimer);

#[derive(Debug, Default)]
struct Kept {
    idle: VecDeque<(Instant, Http1)>,
    shared: Vec<Arc<Shared>>,
    /// Everything that must end with the instance: connections and tunnels.
    tasks: Vec<AbortHandle>,
    /// Whether something looks after what is idle for too long.
    is_swept: bool,
    closed: bool,
}

impl Pool {
    pub(super) fn new(address: SocketAddr, limits: Arc<Limits>, room: usize) -> Self {
        let (kept, opening) = (Arc::default(), tokio::sync::Mutex::default());
        Self { address, limits, room, kept, closed: CancellationToken::new(), opening }
    }

    /// A kept connection if there is one that still lives, else a new one.
    pub(super) async fn connection(&self, protocol: UpstreamProtocol) -> Result<Connection, ConnectError> {
        match protocol {
            UpstreamProtocol::Http2 => self.share().await,
            UpstreamProtocol::Http1 => {
                while let Some((mut sender, timer)) = self.take_idle() {
                    if is_usable(&mut sender, self.limits.connect).await {
                        return Ok(Connection { sender: Sender::Http1(sender), age: Age::Reused, timer });
                    }
                }
                Box::pin(self.open()).await
            }
        }
    }

    /// A connection that cannot have been closed while it was idle.
    pub(super) async fn another(&self, protocol: UpstreamProtocol) -> Result<Connection, ConnectError> {
        match protocol {
            UpstreamProtocol::Http1 => Box::pin(self.open()).await,
            // The one that failed is known to have, and the others are watched.
            UpstreamProtocol::Http2 => self.share().await,
        }
    }

    pub(super) fn give_back(&self, connection: Connection) {
        let Sender::Http1(sender) = connection.sender else { return };
        let mut kept = self.lock();
        kept.put((sender, connection.timer), self.limits.pool_idle, self.room);
        if kept.is_swept || kept.idle.is_empty() {
            return;
        }
        // What nobody asks for any more would be kept for ever. Outside of a runtime all of it is over.
        if let Ok(runtime) = Handle::try_current() {
            kept.is_swept = true;
            runtime.spawn(sweep(Arc::downgrade(&self.kept), self.limits.pool_idle));
        }
    }

    pub(super) fn watch(&self, task: AbortHandle) {
        self.lock().watch(task);
    }

    /// Connections that serve a request now are closed when that is over.
    pub(super) fn close_idle(&self) {
        let mut kept = self.lock();
        kept.idle.clear();
        kept.shared.clear();
    }

    pub(super) fn close(&self) {
        self.closed.cancel();
        self.lock().close();
    }

    /// Connections that wait for a request.
    pub(super) fn idle_count(&self) -> usize {
        self.lock().idle.len()
    }

    fn take_idle(&self) -> Option<Http1> {
        let mut kept = self.lock();
        kept.expire(self.limits.pool_idle);
        kept.idle.pop_back().map(|(_, connection)| connection)
    }

    async fn open(&self) -> Result<Connection, ConnectError> {
        let (sender, task) = self.while_there(open_http1(self.address, self.limits.connect)).await?;
        self.watch(task);
        Ok(Connection { sender: Sender::Http1(sender), age: Age::Fresh, timer: LazyTimer::default() })
    }

    async fn share(&self) -> Result<Connection, ConnectError> {
        if let Some(found) = self.lock().with_room() {
            return Ok(shared(&found, Age::Reused));
        }
        // Rare, and boxed so that every request need not be large enough for it.
        Box::pin(self.open_shared()).await
    }

    async fn open_shared(&self) -> Result<Connection, ConnectError> {
        let patience = self.limits.connect;
        let _turn = timeout(patience, self.opening.lock()).await.map_err(|_| ConnectError::Late(patience))?;
        if let Some(found) = self.lock().with_room() {
            return Ok(shared(&found, Age::Reused));
        }
        let (opened, task) = self.while_there(Shared::open(self.address, patience)).await?;
        let connection = shared(&opened, Age::Fresh);
        let mut kept = self.lock();
        if let Some(task) = task {
            kept.watch(task);
        }
        kept.shared.push(opened);
        Ok(connection)
    }

    /// Nobody waits for an instance that is gone: of a container nothing is left that could refuse.
    async fn while_there<T>(
        &self,
        opening: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, ConnectError> {
        self.closed.run_until_cancelled(opening).await.unwrap_or(Err(ConnectError::Gone))
    }

    /// No code that holds this lock can leave its data half changed.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Closes what was idle for too long, until nothing is idle.
async fn sweep(kept: Weak<Mutex<Kept>>, idle_for: Duration) {
    loop {
        sleep(idle_for).await;
        let Some(kept) = kept.upgrade() else { return };
        let mut kept = lock(&kept);
        kept.expire(idle_for);
        if kept.idle.is_empty() {
            kept.is_swept = false;
            return;
        }
    }
}

/// Whether it lives. The driver may still be about to finish the request before: that is a matter
/// of microseconds, and bounded by `patience` if it is not.
async fn is_usable(sender: &mut SendRequest<RequestBody>, patience: Duration) -> bool {
    if sender.is_closed() {
        return false;
    }
    sender.is_ready() || matches!(timeout(patience, sender.ready()).await, Ok(Ok(())))
}

impl Kept {
    fn put(&mut self, connection: Http1, idle_for: Duration, room: usize) {
        self.expire(idle_for);
        if self.closed || connection.0.is_closed() {
            return;
        }
        if self.idle.len() >= room {
            self.idle.pop_front();
        }
        self.idle.push_back((Instant::now(), connection));
    }

    /// The least busy one, unless all are full and there may be another.
    fn with_room(&mut self) -> Option<Arc<Shared>> {
        self.shared.retain(|shared| shared.is_usable());
        let least = self.shared.iter().min_by_key(|shared| shared.streams())?;
        (least.has_room() || self.shared.len() >= SHARED).then(|| Arc::clone(least))
    }

    fn watch(&mut self, task: AbortHandle) {
        if self.closed {
            task.abort();
            return;
        }
        // Forgets the finished ones each time the list would have to grow, so it stays as long
        // as the number of live ones.
        if self.tasks.len() == self.tasks.capacity() {
            self.tasks.retain(|task| !task.is_finished());
        }
        self.tasks.push(task);
    }

    fn close(&mut self) {
        self.closed = true;
        self.idle.clear();
        self.shared.clear();
        for task in self.tasks.drain(..) {
            task.abort();
        }
    }

    fn expire(&mut self, idle_for: Duration) {
        while self.idle.front().is_some_and(|(since, _)| since.elapsed() >= idle_for) {
            self.idle.pop_front();
        }
    }
}

/// A request's part of it.
fn shared(shared: &Arc<Shared>, age: Age) -> Connection {
    Connection { sender: Sender::Http2(shared.begin()), age, timer: LazyTimer::default() }
}
