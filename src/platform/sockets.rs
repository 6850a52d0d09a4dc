//! The listening sockets of a running platform, so that they can be passed on.
//!
//! Kept are second descriptors of what the gateway serves. A socket stays open as long as one of its
//! descriptors does, so they have to be let go of before the doors close.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
pub struct Sockets(Mutex<Vec<(String, OwnedFd)>>);

impl Sockets {
    pub fn keep(&self, name: &str, socket: &impl AsFd) {
        match socket.as_fd().try_clone_to_owned() {
            Ok(copy) => self.all().push((name.to_owned(), copy)),
            // It is served all the same; only a successor would have to do without it.
            Err(error) => tracing::warn!(name, %error, "a socket cannot be passed on"),
        }
    }

    /// # Errors
    /// When the process has no descriptors left.
    pub fn copies(&self) -> std::io::Result<Vec<(String, OwnedFd)>> {
        self.all().iter().map(|(name, socket)| Ok((name.clone(), socket.try_clone()?))).collect()
    }

    pub fn let_go(&self) {
        self.all().clear();
    }

    fn all(&self) -> MutexGuard<'_, Vec<(String, OwnedFd)>> {
        // Changed by single pushes: a panic elsewhere leaves nothing half-done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
