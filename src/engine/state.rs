//! What an input means, decided without waiting or doing anything: `step(input, now) → effects`.
//!
//! The engine is level-triggered. Inputs only say that something may differ; every reconcile starts
//! from a fresh look. What is remembered here is what no look can show: what the user asked for and
//! how often a service has failed.
//!
//! `asked` is what somebody asks for, `look` what a look says, `runs` what is carried out and how it ends,
//! `pending` what has still to be planned for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use self::pending::Pending;
use self::runs::Run;
use super::drift::Drift;
use super::input::{Effect, Input, RunId, Wishes};
use super::trouble::{Retry, Trouble};
use crate::model::desired::{Known, Pin};
use crate::model::difference::Differences;
use crate::model::event::{EventKind, Failure};
use crate::model::instance::{Generation, SpecHash};
use crate::model::name::ServiceName;
use crate::model::observed::Observed;
use crate::model::platform::Platform;

mod asked;
mod look;
mod pending;
mod runs;

/// An instance that served for this long was sound: its later failure is counted as a first one.
const SOUND_AFTER: Duration = Duration::from_secs(60);

#[derive(Debug, Default, Clone)]
pub struct State {
    pub platform: Option<Arc<Platform>>,
    /// Replicas that differ from the manifest by request.
    pub scale: BTreeMap<ServiceName, u16>,
    pub restart_through: BTreeMap<ServiceName, Generation>,
    pub last_generation: BTreeMap<ServiceName, Generation>,
    /// Services that were rolled back.
    pub pins: BTreeMap<ServiceName, Pin>,
    /// What the sources of services are and what is made of them, until something says that they may be
    /// others. Nothing else is a reason to look at them again.
    pub known: BTreeMap<ServiceName, Known>,
    /// What differs in the manifest since what runs of a service was made.
    pub edits: BTreeMap<ServiceName, Differences>,
    pub failures: BTreeMap<ServiceName, Trouble>,
    /// The services that were asked for; `None` is all.
    active: Option<BTreeSet<ServiceName>>,
    serving_since: BTreeMap<ServiceName, Instant>,
    look: Look,
    /// What executors are at work on. No two of them are at work on one service.
    runs: BTreeMap<RunId, Run>,
    runs_begun: u64,
    pending: Pending,
    /// The versions that were wanted when it was last planned.
    versions: BTreeMap<ServiceName, SpecHash>,
    /// What differed at the last look, and what of that the last plan knew.
    drift: BTreeSet<Drift>,
    answered: BTreeSet<Drift>,
    planned_at: Option<Instant>,
    sight: Sight,
    /// Why the runtime could not be looked at, while it cannot.
    pub blind: Option<Failure>,
}

/// Whether it is being looked and planned. That is never done twice at once.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Look {
    #[default]
    None,
    Under,
    /// Under way, and what it works from is already out of date.
    Stale,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Sight {
    #[default]
    Clear,
    Blind,
}

impl State {
    /// Of a platform that had these generations before.
    #[must_use]
    pub fn after(last_generation: BTreeMap<ServiceName, Generation>) -> Self {
        Self { last_generation, ..Self::default() }
    }

    #[must_use]
    pub fn step(&mut self, input: Input, now: Instant) -> Vec<Effect> {
        match input {
            Input::Apply { platform, only } => self.apply(platform, only),
            Input::Scale { replicas } => {
                let services: BTreeSet<ServiceName> = replicas.keys().cloned().collect();
                self.scale.extend(replicas);
                self.try_anew(services)
            }
            Input::Restart { services } => self.restart(services),
            Input::Redeploy { services } => {
                self.pins.retain(|service, _| !services.contains(service));
                self.known.retain(|service, _| !services.contains(service));
                self.restart(services)
            }
            Input::RollBack { service, pin } => {
                self.pins.insert(service.clone(), pin);
                self.try_anew([service].into())
            }
            Input::Succeed { platform, wishes } => self.succeed(platform, wishes),
            Input::Resume => {
                self.look = Look::None;
                self.pending.add(self.busy());
                self.runs.clear();
                self.reconcile_soon()
            }
            Input::Observed { observed, catalog } => self.look(&observed, &catalog, now),
            Input::Heard { instance, words } => self.heard(&instance, words),
            Input::Changed(services) => {
                self.known.retain(|service, _| !services.contains(service));
                self.reconcile_soon()
            }
            Input::Edited(platform) => self.follow(platform),
            Input::Planned(planned) => self.carry_out(planned, now),
            Input::Executed { run, report } => self.finish(run, report, now),
            Input::Blind(failure) => {
                self.look = Look::None;
                self.pending.clear();
                let mut effects = self.go_blind(failure);
                effects.extend(self.settled());
                effects
            }
            Input::Unseen(failure) => self.go_blind(failure),
            Input::Tick => self.tick(now),
        }
    }

    /// The services that nobody has asked for.
    #[must_use]
    pub fn held(&self) -> BTreeSet<ServiceName> {
        let (Some(platform), Some(active)) = (&self.platform, &self.active) else {
            return BTreeSet::new();
        };
        platform.services.keys().filter(|service| !active.contains(*service)).cloned().collect()
    }

    /// The services that wait out a back-off, and the version for which they do.
    #[must_use]
    pub fn waiting(&self, now: Instant) -> BTreeMap<ServiceName, Option<SpecHash>> {
        let waiting = self.failures.iter().filter(|(_, trouble)| trouble.waits(now));
        waiting.map(|(service, trouble)| (service.clone(), trouble.version.clone())).collect()
    }

    /// The services that executors are at work on.
    #[must_use]
    pub fn busy(&self) -> BTreeSet<ServiceName> {
        self.runs.values().flat_map(|run| run.services.keys()).cloned().collect()
    }

    /// The services that a run is at work on.
    #[must_use]
    pub fn services_of(&self, run: RunId) -> BTreeSet<ServiceName> {
        self.runs.get(&run).into_iter().flat_map(|run| run.services.keys()).cloned().collect()
    }

    /// Whether somebody has asked for this service to run.
    #[must_use]
    pub fn is_asked_for(&self, service: &str) -> bool {
        self.active.as_ref().is_none_or(|active| active.iter().any(|name| name.as_str() == service))
    }

    /// When the next service that failed is due for another try.
    #[must_use]
    pub fn next_retry(&self) -> Option<Instant> {
        self.failures.values().filter_map(Trouble::retry_at).min()
    }

    /// `None` as long as nobody has asked for anything.
    #[must_use]
    pub fn wishes(&self) -> Option<Wishes> {
        self.platform.is_some().then(|| Wishes {
            scale: self.scale.clone(),
            restart_through: self.restart_through.clone(),
            last_generation: self.last_generation.clone(),
            pins: self.pins.clone(),
            digests: self.known.iter().map(|(name, known)| (name.clone(), known.digest.clone())).collect(),
            active: self.active.clone(),
        })
    }

    /// The services of which the very version that is wanted has failed before.
    #[must_use]
    pub fn failing(&self) -> BTreeSet<ServiceName> {
        let is_wanted = |(service, trouble): &(&ServiceName, &Trouble)| {
            trouble.version.is_some() && trouble.version.as_ref() == self.versions.get(*service)
        };
        self.failures.iter().filter(is_wanted).map(|(service, _)| service.clone()).collect()
    }

    /// Whether what the look under way works from is out of date already.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.look == Look::Stale
    }

    #[must_use]
    pub fn is_executing(&self) -> bool {
        self.look != Look::None || !self.runs.is_empty()
    }

    /// Whether nothing is left to do for these, whatever there is for others. A service that waits for its
    /// next try is done, as far as somebody who waits is concerned.
    #[must_use]
    pub fn is_settled_for(&self, services: &BTreeSet<ServiceName>) -> bool {
        let busy = self.busy();
        let is_open = |service: &ServiceName| busy.contains(service) || self.pending.has(service);
        !self.is_executing() || !services.iter().any(is_open)
    }

    /// Takes note of the generations that exist.
    pub fn learn(&mut self, observed: &Observed) {
        for seen in &observed.instances {
            let last = self.last_generation.entry(seen.name.service.clone()).or_insert(seen.name.generation);
            *last = (*last).max(seen.name.generation);
        }
    }

    fn reconcile_soon(&mut self) -> Vec<Effect> {
        match self.look {
            // Nobody has asked for anything yet, so nothing differs from it.
            Look::None if self.platform.is_none() => vec![Effect::Settled],
            Look::None => {
                self.look = Look::Under;
                self.pending.look_begins();
                vec![Effect::Reconcile]
            }
            Look::Under => {
                self.look = Look::Stale;
                Vec::new()
            }
            Look::Stale => Vec::new(),
        }
    }

    /// Nothing is left to do, if that is so.
    fn settled(&self) -> Option<Effect> {
        (!self.is_executing()).then_some(Effect::Settled)
    }

    /// Announced once, however often the engine is found not to answer.
    fn go_blind(&mut self, failure: Failure) -> Vec<Effect> {
        self.blind = Some(failure.clone());
        match std::mem::replace(&mut self.sight, Sight::Blind) {
            Sight::Clear => vec![Effect::Announce(EventKind::EngineLost { reason: failure.message })],
            Sight::Blind => Vec::new(),
        }
    }

    fn see_again(&mut self) -> Vec<Effect> {
        if self.sight == Sight::Clear {
            return Vec::new();
        }
        self.sight = Sight::Clear;
        self.blind = None;
        let mut effects = vec![Effect::Announce(EventKind::EngineBack)];
        effects.extend(self.reconcile_soon());
        effects
    }

    fn tick(&mut self, now: Instant) -> Vec<Effect> {
        let since = &self.serving_since;
        self.failures.retain(|service, trouble| {
            let is_sound = since.get(service).is_some_and(|since| now - *since >= SOUND_AFTER);
            trouble.has_failed() || !is_sound
        });
        let is_due = |trouble: &&mut Trouble| trouble.retry_at().is_some_and(|at| at <= now);
        let due: Vec<&mut Trouble> = self.failures.values_mut().filter(is_due).collect();
        if due.is_empty() {
            return Vec::new();
        }
        for trouble in due {
            trouble.retry = Retry::UnderWay;
        }
        self.reconcile_soon()
    }
}

#[cfg(test)]
mod tests;
