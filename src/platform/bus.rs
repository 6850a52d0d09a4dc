//! Carries events to whoever listens, and remembers the latest for those who come late.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::engine::ports::Announcer;
use crate::model::event::{Event, EventKind};

/// How many events are remembered, and how far behind a listener may fall before it misses some.
const REMEMBERED: usize = 4096;

pub struct Bus {
    /// Taken for every event, so that history and stream have the same order.
    history: Mutex<VecDeque<Event>>,
    live: broadcast::Sender<Event>,
}

impl Default for Bus {
    fn default() -> Self {
        Self { history: Mutex::default(), live: broadcast::Sender::new(REMEMBERED) }
    }
}

impl Bus {
    /// Events as they happen; with `from_start`, those that are remembered come first. The stream
    /// ends with the bus. A listener that falls behind misses the oldest events.
    pub fn events(&self, from_start: bool) -> BoxStream<'static, Event> {
        let history = self.history();
        let past: Vec<Event> = if from_start { history.iter().cloned().collect() } else { Vec::new() };
        let live = self.live.subscribe();
        drop(history);
        futures_util::stream::iter(past).chain(futures_util::stream::unfold(live, next)).boxed()
    }

    /// Those that are remembered, oldest first.
    #[must_use]
    pub fn past(&self) -> Vec<Event> {
        self.history().iter().cloned().collect()
    }

    fn history(&self) -> MutexGuard<'_, VecDeque<Event>> {
        // Events are whole values: a panic elsewhere cannot leave half of one behind.
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn next(mut live: broadcast::Receiver<Event>) -> Option<(Event, broadcast::Receiver<Event>)> {
    loop {
        match live.recv().await {
            Ok(event) => return Some((event, live)),
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "a listener fell behind and missed events")
            }
            Err(RecvError::Closed) => return None,
        }
    }
}

impl Announcer for Bus {
    fn announce(&self, kind: EventKind) {
        let event = Event { at: SystemTime::now(), kind };
        let mut history = self.history();
        if history.len() == REMEMBERED {
            history.pop_front();
        }
        history.push_back(event.clone());
        // Nobody may be listening.
        let _ = self.live.send(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_late_listener_hears_what_it_missed_in_order() {
        let bus = Bus::default();
        bus.announce(EventKind::EngineBack);
        let mut events = bus.events(true);
        let mut only_new = bus.events(false);
        bus.announce(EventKind::Stopping);
        assert_eq!(events.next().await.unwrap().kind, EventKind::EngineBack);
        assert_eq!(events.next().await.unwrap().kind, EventKind::Stopping);
        assert_eq!(only_new.next().await.unwrap().kind, EventKind::Stopping);
        drop(bus);
        assert_eq!(events.next().await, None);
    }
}
