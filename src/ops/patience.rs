//! How long a command that waits for a change bears an engine that went away.
//!
//! A running platform waits for its engine for ever; a command in the foreground must not.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::model::event::{Event, EventKind};

/// An engine that is restarted is back within a few seconds.
const PATIENCE: Duration = Duration::from_secs(8);

#[derive(Debug, Default)]
pub struct Patience {
    ends: Option<Instant>,
}

impl Patience {
    /// Notes whether the engine went away or came back.
    pub fn note(&mut self, event: &Event) {
        match &event.kind {
            EventKind::EngineLost { .. } => self.ends = Some(Instant::now() + PATIENCE),
            EventKind::EngineBack => self.ends = None,
            _ => {}
        }
    }

    /// Completes when the engine has been away for too long.
    pub async fn over(&self) {
        match self.ends {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn event(kind: EventKind) -> Event {
        Event { at: std::time::SystemTime::UNIX_EPOCH, kind }
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_only_when_the_engine_stays_away() {
        let mut patience = Patience::default();
        assert!(patience.over().now_or_never().is_none());
        patience.note(&event(EventKind::EngineLost { reason: "refused".to_owned() }));
        patience.note(&event(EventKind::EngineBack));
        tokio::time::advance(PATIENCE * 2).await;
        assert!(patience.over().now_or_never().is_none());
        patience.note(&event(EventKind::EngineLost { reason: "refused".to_owned() }));
        let start = Instant::now();
        patience.over().await;
        assert_eq!(start.elapsed(), PATIENCE);
    }
}
