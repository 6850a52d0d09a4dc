//! Collects what builds have left, in the background: after something new is live, or once the manifest has
//! another budget, what is beyond it goes.
//!
//! It listens to the bus like anybody else, holds nobody up, and is at work on one collection at most.
//! What it cannot do is said and left to the next time.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::BoxStream;

use super::bus::Bus;
use super::folder::StateFolder;
use super::history::Recorder;
use super::keeping::Keeping;
use super::traffic::Traffic;
use crate::model::deployment::Outcome;
use crate::model::event::{Event, EventKind, StepKind};
use crate::model::platform::Budget;
use crate::runtime::Runtime;

/// Collects for as long as the platform is this process's, by the budget of its manifest as it is then.
pub fn start(
    folder: &StateFolder,
    bus: &Bus,
    runtime: &Arc<dyn Runtime>,
    traffic: &Arc<Traffic>,
    recorder: Recorder,
) {
    let platform = traffic.platform();
    let keeping = Keeping::new(&platform.id, &platform.root, folder, vec![Arc::clone(runtime)]);
    let (events, keeping, traffic) = (bus.events(true), Arc::new(keeping), Arc::clone(traffic));
    let budget = move || traffic.platform().budget;
    let now = budget.clone();
    let collect = move || {
        let (keeping, recorder, budget) = (Arc::clone(&keeping), recorder.clone(), budget());
        async move {
            // What has just become live is worth most, and the history has to say so.
            recorder.flush().await;
            collect(&keeping, &budget).await;
        }
        .boxed()
    };
    tokio::spawn(run(events, now, collect));
}

async fn collect(keeping: &Keeping, budget: &Budget) {
    match keeping.collect(budget).await {
        Ok(collected) => {
            let bytes: u64 = collected.iter().map(|one| one.bytes).sum();
            tracing::debug!(builds = collected.len(), bytes, "collected what is beyond the budget");
        }
        Err(failure) => tracing::warn!("old builds are not removed: {}", failure.message),
    }
}

async fn run(
    mut events: BoxStream<'static, Event>,
    budget: impl Fn() -> Budget,
    collect: impl Fn() -> BoxFuture<'static, ()>,
) {
    let mut occasion = Occasion::default();
    let mut collecting: Option<BoxFuture<'static, ()>> = None;
    loop {
        if collecting.is_none() && occasion.take() {
            collecting = Some(collect());
        }
        // An event that was waited for and not taken stays in the stream; a collection is kept.
        tokio::select! {
            event = events.next() => match event.map(|event| event.kind) {
                None | Some(EventKind::Stopping | EventKind::Replaced) => return,
                Some(kind) => occasion.note(&kind, budget()),
            },
            () = done(&mut collecting) => collecting = None,
        }
    }
}

/// The end of a collection; never, while there is none.
async fn done(collecting: &mut Option<BoxFuture<'static, ()>>) {
    match collecting {
        Some(collecting) => collecting.await,
        None => std::future::pending().await,
    }
}

/// When it is time to collect.
#[derive(Debug)]
struct Occasion {
    /// Whether something was built, or may have been, that was not followed by a collection.
    built: bool,
    due: bool,
    /// What there was last to keep it within.
    budget: Option<Budget>,
}

impl Default for Occasion {
    /// Nobody knows what was before.
    fn default() -> Self {
        Self { built: true, due: false, budget: None }
    }
}

impl Occasion {
    /// `budget` is that of the manifest as it is by then. Whatever another manifest leads to is settled after
    /// it, be it nothing.
    fn note(&mut self, kind: &EventKind, budget: Budget) {
        self.built |= self.budget.replace(budget) != Some(budget);
        match kind {
            EventKind::StepFinished { step: StepKind::Build, .. } => self.built = true,
            // What is built shows whether it serves before anything else has to go for it.
            EventKind::DeploymentEnded { outcome: Outcome::Live, .. } | EventKind::Settled { .. } => {
                self.due |= std::mem::take(&mut self.built);
            }
            _ => {}
        }
    }

    fn take(&mut self) -> bool {
        std::mem::take(&mut self.due)
    }
}

#[cfg(test)]
mod tests;
