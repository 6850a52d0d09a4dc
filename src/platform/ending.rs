//! Tells every part of a platform when to end, and whether another process goes on behind it; hears from
//! its doors how that went.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

use crate::gateway::{Farewell, Stopped};

#[derive(Debug, Clone, Default)]
pub struct Ending {
    farewell: Arc<OnceLock<Farewell>>,
    told: CancellationToken,
    /// Connections and tunnels that were still busy when their time was up.
    cut_off: Arc<AtomicUsize>,
}

impl Ending {
    pub fn tell(&self, farewell: Farewell) {
        // What is told later changes nothing: doors that are closing go on as they began.
        let _ = self.farewell.set(farewell);
        self.told.cancel();
    }

    /// Completes with the end.
    pub async fn heard(&self) -> Farewell {
        self.told.cancelled().await;
        self.farewell.get().copied().unwrap_or_default()
    }

    /// One of the doors is closed.
    pub fn closed(&self, stopped: Stopped) {
        self.cut_off.fetch_add(stopped.cut_off, Ordering::AcqRel);
    }

    /// Says in the log what was cut, once every door is closed.
    pub fn report(&self) {
        let cut_off = self.cut_off();
        if cut_off > 0 {
            tracing::warn!(cut_off, "connections were cut: they were still busy when their time was up");
        }
    }

    fn cut_off(&self) -> usize {
        self.cut_off.load(Ordering::Acquire)
    }

    /// For those to whom every end is the same.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.told.clone()
    }
}

/// Tells the end when it is dropped.
#[derive(Debug)]
pub struct EndsWhenDropped(pub Ending);

impl Drop for EndsWhenDropped {
    fn drop(&mut self) {
        self.0.tell(Farewell::Ends);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_door_has_cut_is_added_up() {
        let ending = Ending::default();
        assert_eq!(ending.cut_off(), 0);
        for cut_off in [2, 0, 1] {
            ending.clone().closed(Stopped { cut_off });
        }
        assert_eq!(ending.cut_off(), 3);
    }
}
