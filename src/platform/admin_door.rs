//! The admin socket of a running platform: served, or held shut while another process takes over.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener as StdListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::admin::{Control, server};

/// How long whoever is still being told something has to hear it.
const PATIENCE: Duration = Duration::from_secs(2);

pub struct AdminDoor {
    socket: StdListener,
    control: Arc<dyn Control>,
    /// Dropped, nobody else is served; those that are, go on.
    serving: Mutex<Option<oneshot::Sender<()>>>,
    tasks: TaskTracker,
}

impl AdminDoor {
    /// Nobody is served before it is opened.
    ///
    /// # Errors
    /// When the socket cannot be used.
    pub fn new(socket: UnixListener, control: Arc<dyn Control>) -> std::io::Result<Self> {
        Ok(Self { socket: socket.into_std()?, control, serving: Mutex::default(), tasks: TaskTracker::new() })
    }

    pub fn open(&self) {
        let socket = match self.socket.try_clone().and_then(UnixListener::from_std) {
            Ok(socket) => socket,
            Err(error) => return tracing::error!(%error, "the admin socket cannot be served"),
        };
        let (serving, shut) = oneshot::channel();
        let control = Arc::clone(&self.control);
        self.tasks.spawn(async move {
            if let Err(error) = server::run(socket, control, async { drop(shut.await) }).await {
                tracing::error!(%error, "the admin socket failed");
            }
        });
        self.replace(Some(serving));
    }

    /// Whoever comes from now on waits in the socket.
    pub fn shut(&self) {
        self.replace(None);
    }

    /// Serves nobody any more. The future completes once those that were served have heard all that
    /// there was to say, or do not listen.
    pub fn close(self) -> impl Future<Output = ()> {
        let tasks = self.tasks.clone();
        drop(self);
        tasks.close();
        async move {
            // Who does not hang up wants more than there is.
            let _ = timeout(PATIENCE, tasks.wait()).await;
        }
    }

    fn replace(&self, serving: Option<oneshot::Sender<()>>) {
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = serving;
    }
}

impl AsFd for AdminDoor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for AdminDoor {
    fn drop(&mut self) {
        self.shut();
    }
}
