//! Carries events to whoever listens, and remembers the latest for those who come late.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::engine::ports::Announcer;
use crate::model::event::{Event, EventKind};

/// How many events are remembered, and how far behind a listener may fall before it misses some.
const REMEMBERED: usize = 4096;

pub struct Bus(Mutex<Inner>);

/// Taken for every event, so that history and stream have the same order.
struct Inner {
    history: VecDeque<Event>,
    /// `None` once it is closed.
    live: Option<broadcast::Sender<Event>>,
}

impl Default for Bus {
    fn default() -> Self {
        let live = Some(broadcast::Sender::new(REMEMBERED));
        Self(Mutex::new(Inner { history: VecDeque::new(), live }))
    }
}

impl Bus {
    /// Events as they happen; with `from_start`, those that are remembered come first. The stream
    /// ends with the bus. A listener that falls behind misses the oldest events.
    pub fn events(&self, from_start: bool) -> BoxStream<'static, Event> {
        let inner = self.inner();
        let past: Vec<Event> = if from_start { inner.history.iter().cloned().collect() } else { Vec::new() };
        let live = inner.live.as_ref().map(broadcast::Sender::subscribe);
        drop(inner);
        let live = stream::iter(live).flat_map(|live| stream::unfold(live, next));
        stream::iter(past).chain(live).boxed()
    }

    /// Those that are remembered, oldest first.
    #[must_use]
    pub fn past(&self) -> Vec<Event> {
        self.inner().history.iter().cloned().collect()
    }

    /// Ends all streams of it: there is nothing more to tell.
    pub fn close(&self) {
        self.inner().live = None;
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Events are whole values: a panic elsewhere cannot leave half of one behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut inner = self.inner();
        if inner.history.len() == REMEMBERED {
            inner.history.pop_front();
        }
        inner.history.push_back(event.clone());
        if let Some(live) = &inner.live {
            // Nobody may be listening.
            let _ = live.send(event);
        }
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
        bus.close();
        assert_eq!(events.next().await, None);
        assert_eq!(bus.events(true).count().await, 2, "what has happened can still be asked for");
    }
}
