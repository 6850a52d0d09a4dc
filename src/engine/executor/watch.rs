//! The way back from a new instance: who served before is recalled if it stops within its window.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use super::{Executor, Unfinished, Walk, how_it_ended};
use crate::engine::observer::find;
use crate::model::catalog::Catalog;
use crate::model::event::{EventKind, Failure, StepKind};
use crate::model::instance::InstanceName;
use crate::model::observed::InstanceState;

/// Instances whose end is dealt with by the step that watches them.
#[derive(Debug, Default)]
pub(super) struct Watched(Mutex<BTreeSet<InstanceName>>);

/// One of [`Watched`], for as long as this lives.
struct Watching<'w> {
    watched: &'w Watched,
    instance: &'w InstanceName,
}

impl Watched {
    fn begin<'w>(&'w self, instance: &'w InstanceName) -> Watching<'w> {
        self.all().insert(instance.clone());
        Watching { watched: self, instance }
    }

    fn all(&self) -> MutexGuard<'_, BTreeSet<InstanceName>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.watched.all().remove(self.instance);
    }
}

impl Executor {
    /// Who takes requests, but for those whose end a step is waiting for: it recalls others before it
    /// forgets them.
    pub fn unwatched(&self) -> Arc<Catalog> {
        let watched = self.watched.all().clone();
        let mut catalog = self.traffic.catalog();
        if !watched.is_empty() {
            for endpoints in Arc::make_mut(&mut catalog).services.values_mut() {
                endpoints.retain(|endpoint| !watched.contains(&endpoint.instance));
            }
        }
        catalog
    }

    /// Lets an instance that runs take requests again. Nothing is asked of it: it took some before.
    pub(super) fn recall(&self, instance: &InstanceName) -> bool {
        let observed = self.observer.latest();
        let address = find(&observed, instance).and_then(|seen| seen.address);
        if let Some(address) = address {
            self.traffic.introduce(instance, address);
            self.traffic.admit(instance);
        }
        address.is_some()
    }

    /// The same, and says so.
    pub fn call_back(&self, instance: &InstanceName) {
        self.recall_all(std::slice::from_ref(instance));
    }

    pub(super) async fn watch(
        &self,
        walk: &Walk<'_>,
        instance: &InstanceName,
        window: Duration,
        otherwise: &[InstanceName],
    ) -> Result<(), Unfinished> {
        let watching = self.watched.begin(instance);
        let state = tokio::select! {
            // Both only look; nothing is lost with the one that is dropped.
            stopped = self.stopped_within(instance, window) => match stopped {
                Some(state) => state,
                None => return Ok(()),
            },
            () = walk.broken_off(&instance.service) => {
                if walk.is_turned_back(&instance.service) {
                    self.recall_all(otherwise);
                    self.traffic.withdraw(instance);
                }
                return Err(Unfinished::GivenUp);
            }
        };
        let recalled = self.recall_all(otherwise);
        if let Some(turned_back) = walk.turned_back.get(&instance.service) {
            turned_back.cancel();
        }
        self.traffic.forget(instance);
        drop(watching);
        Err(Unfinished::Failed(self.bury(walk, instance, state, window, &recalled).await))
    }

    /// How it ended; `None` if it did not. The last look is a fresh one: no event may have told.
    async fn stopped_within(
        &self,
        instance: &InstanceName,
        window: Duration,
    ) -> Option<Option<InstanceState>> {
        if let Ok(state) = timeout(window, self.observer.stopped(instance)).await {
            return Some(state);
        }
        // Without an engine nothing is known of it, and nothing is removed either.
        let observed = self.observer.refresh().await.ok()?;
        let state = find(&observed, instance).map(|seen| seen.state);
        (!state.is_some_and(InstanceState::is_running)).then_some(state)
    }

    /// Gives those that could be.
    fn recall_all<'i>(&self, instances: &'i [InstanceName]) -> Vec<&'i InstanceName> {
        let recalled: Vec<&InstanceName> =
            instances.iter().filter(|instance| self.recall(instance)).collect();
        for instance in &recalled {
            let (service, subject) = (instance.service.to_string(), instance.to_string());
            let (step, took) = (StepKind::Admit, Duration::ZERO);
            self.announcer.announce(EventKind::StepStarted {
                service: service.clone(),
                step,
                subject: subject.clone(),
            });
            self.announcer.announce(EventKind::StepFinished { service, step, subject, took });
        }
        recalled
    }

    /// Clears an instance away that has stopped by itself, and says what is known of that.
    async fn bury(
        &self,
        walk: &Walk<'_>,
        instance: &InstanceName,
        state: Option<InstanceState>,
        window: Duration,
        recalled: &[&InstanceName],
    ) -> Failure {
        let service = walk.ground.wanted(&instance.service).ok().map(|(_, _, service)| &service.spec);
        let (how, window) = (how_it_ended(state, service), humantime::format_duration(window));
        let failure = Failure {
            message: format!("{instance} {how} within {window} of its first request"),
            hint: recalled.first().map(|before| {
                format!("{} serves until something else is saved or deployed", before.generation)
            }),
            // Each try would take requests and drop some of them.
            is_lasting: !recalled.is_empty(),
            ..Failure::default()
        };
        let failure = self.with_output(failure, instance).await;
        let grace = service.map_or(Duration::ZERO, |service| service.run.stop_grace);
        if let Err(error) = self.remove(instance, grace).await {
            tracing::warn!(%instance, error = error.message, "could not remove what has stopped");
        }
        failure
    }
}
