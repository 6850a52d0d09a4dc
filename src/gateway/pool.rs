//! Connections to one instance: opening them, keeping the idle ones, closing them all.
//!
//! Last in, first out: the most recently used connection is the least likely to have been closed
//! by the other side. The list is bounded in number and in age.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use super::upload::RequestBody;

/// Larger reads than this cost memory and gain nothing, as measured with bodies of 1 MiB.
const BUFFER: usize = 128 * 1024;

/// Why an instance could not be reached. No byte of the request was written.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("connect: no answer within {0:?}")]
    Late(Duration),
    #[error("connect")]
    Refused(#[source] io::Error),
    #[error("speak HTTP/1.1")]
    Handshake(#[source] hyper::Error),
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
    pub(super) sender: SendRequest<RequestBody>,
    pub(super) age: Age,
}

impl Connection {
    /// The handle ends the task that drives the connection, and with it the connection.
    pub(super) async fn open(
        address: SocketAddr,
        patience: Duration,
    ) -> Result<(Self, AbortHandle), ConnectError> {
        let connecting = timeout(patience, TcpStream::connect(address)).await;
        let stream = connecting.map_err(|_| ConnectError::Late(patience))?.map_err(ConnectError::Refused)?;
        stream.set_nodelay(true).map_err(ConnectError::Refused)?;
        let handshake = http1::Builder::new().max_buf_size(BUFFER).handshake(TokioIo::new(stream));
        let (sender, driver) = handshake.await.map_err(ConnectError::Handshake)?;
        // Its errors reach the requests on it; there is nobody else to tell.
        let task = tokio::spawn(async move { drop(driver.with_upgrades().await) });
        Ok((Self { sender, age: Age::Fresh }, task.abort_handle()))
    }

    /// Whether it lives. The driver may still be about to finish the request before: that is a
    /// matter of microseconds, and bounded by `patience` if it is not.
    pub(super) async fn is_usable(&mut self, patience: Duration) -> bool {
        if self.sender.is_closed() {
            return false;
        }
        self.sender.is_ready() || matches!(timeout(patience, self.sender.ready()).await, Ok(Ok(())))
    }
}

#[derive(Debug, Default)]
pub(super) struct Pool {
    idle: VecDeque<(Instant, Connection)>,
    /// Everything that must end with the instance: connections and tunnels.
    tasks: Vec<AbortHandle>,
    closed: bool,
}

impl Pool {
    pub(super) fn take(&mut self, idle_for: Duration) -> Option<Connection> {
        self.expire(idle_for);
        self.idle.pop_back().map(|(_, connection)| connection)
    }

    pub(super) fn put(&mut self, connection: Connection, size: usize, idle_for: Duration) {
        self.expire(idle_for);
        if self.closed || connection.sender.is_closed() {
            return;
        }
        if self.idle.len() >= size {
            self.idle.pop_front();
        }
        self.idle.push_back((Instant::now(), Connection { age: Age::Reused, ..connection }));
    }

    pub(super) fn watch(&mut self, task: AbortHandle) {
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

    pub(super) fn close_idle(&mut self) {
        self.idle.clear();
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
        self.idle.clear();
        for task in self.tasks.drain(..) {
            task.abort();
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    fn expire(&mut self, idle_for: Duration) {
        while self.idle.front().is_some_and(|(since, _)| since.elapsed() >= idle_for) {
            self.idle.pop_front();
        }
    }
}
