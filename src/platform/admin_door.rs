//! The admin socket of a running platform: served, or held shut while another process takes over.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener as StdListener;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::UnixListener;
use tokio::task::JoinHandle;

use crate::admin::{Control, server};

pub struct AdminDoor {
    socket: StdListener,
    control: Arc<dyn Control>,
    serving: Mutex<Option<JoinHandle<()>>>,
}

impl AdminDoor {
    /// Nobody is served before it is opened.
    ///
    /// # Errors
    /// When the socket cannot be used.
    pub fn new(socket: UnixListener, control: Arc<dyn Control>) -> std::io::Result<Self> {
        Ok(Self { socket: socket.into_std()?, control, serving: Mutex::default() })
    }

    pub fn open(&self) {
        let socket = match self.socket.try_clone().and_then(UnixListener::from_std) {
            Ok(socket) => socket,
            Err(error) => return tracing::error!(%error, "the admin socket cannot be served"),
        };
        let control = Arc::clone(&self.control);
        let serving = tokio::spawn(async move {
            // Ends by being aborted: its streams last as long as the platform.
            if let Err(error) = server::run(socket, control, std::future::pending()).await {
                tracing::error!(%error, "the admin socket failed");
            }
        });
        self.replace(Some(serving));
    }

    /// Whoever comes from now on waits in the socket.
    pub fn shut(&self) {
        self.replace(None);
    }

    fn replace(&self, serving: Option<JoinHandle<()>>) {
        let before =
            std::mem::replace(&mut *self.serving.lock().unwrap_or_else(PoisonError::into_inner), serving);
        before.inspect(JoinHandle::abort);
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
