//! Tells every part of a platform when to end, and whether another process goes on behind it.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

use crate::gateway::Farewell;

#[derive(Debug, Clone, Default)]
pub struct Ending {
    farewell: Arc<OnceLock<Farewell>>,
    told: CancellationToken,
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
