//! What an input means, decided without waiting or doing anything: `step(input, now) → effects`.
//!
//! The engine is level-triggered. Inputs only say that something may differ; every reconcile starts
//! from a fresh look. What is remembered here is what no look can show: what the user asked for and
//! how often a service has failed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::drift::Drift;
use super::executor::Report;
use super::input::{Effect, Input, Planned, RunId, Wishes};
use super::trouble::{Retry, Trouble};
use crate::model::desired::{Known, Pin};
use crate::model::event::{EventKind, Failure, StepKind};
use crate::model::instance::{BuildDigest, Generation, SpecHash};
use crate::model::name::ServiceName;
use crate::model::observed::Observed;
use crate::model::platform::Platform;
use crate::plan::{Action, Plan};

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
    pub failures: BTreeMap<ServiceName, Trouble>,
    /// The services that were asked for; `None` is all.
    active: Option<BTreeSet<ServiceName>>,
    serving_since: BTreeMap<ServiceName, Instant>,
    look: Look,
    /// What executors are at work on. No two of them are at work on one service.
    runs: BTreeMap<RunId, Run>,
    runs_begun: u64,
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

/// A plan that is being carried out.
#[derive(Debug, Clone, Default)]
struct Run {
    /// With the version that each of them gets; `None` for one that goes.
    services: BTreeMap<ServiceName, Option<SpecHash>>,
    /// What those of them are built from that are.
    builds: BTreeMap<ServiceName, BuildDigest>,
    /// Those of them whose version is not tried, because it failed: others are called back in its place.
    staying: BTreeSet<ServiceName>,
    /// Somebody has asked for something else meanwhile: what fails now says nothing about that.
    is_superseded: bool,
    is_given_up: bool,
    /// A plan was made meanwhile, and left its services alone.
    was_passed_over: bool,
}

impl Run {
    fn of(
        plan: &Plan,
        versions: &BTreeMap<ServiceName, SpecHash>,
        known: &BTreeMap<ServiceName, Known>,
    ) -> Self {
        let services = plan.services().into_iter();
        let services = services.map(|service| (service.clone(), versions.get(service).cloned()));
        let built = plan.steps.iter().filter(|step| step.action == Action::Build).map(|step| &step.service);
        let builds = built.filter_map(|service| Some((service.clone(), known.get(service)?.digest.clone())));
        Self { services: services.collect(), builds: builds.collect(), ..Self::default() }
    }

    /// Whether another version of one of its services is wanted, as far as that is known.
    fn is_outdated(&self, planned: &Planned) -> bool {
        let is_other = |(service, version): (&ServiceName, &Option<SpecHash>)| match self.builds.get(service)
        {
            // What comes of a build has another name once it is there.
            Some(digest) if !self.is_superseded => {
                planned.known.get(service).is_none_or(|known| known.digest != *digest)
            }
            _ => planned.versions.get(service) != version.as_ref(),
        };
        let readable = self.services.iter().filter(|(service, _)| !planned.failed.contains_key(*service));
        readable.into_iter().any(is_other)
    }
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
                self.runs.clear();
                self.reconcile_soon()
            }
            Input::Observed { observed, catalog } => self.look(&observed, &catalog, now),
            Input::Changed(services) => {
                self.known.retain(|service, _| !services.contains(service));
                self.reconcile_soon()
            }
            Input::Edited(platform) => self.follow(platform),
            Input::Planned(planned) => self.carry_out(planned, now),
            Input::Executed { run, report } => self.finish(run, report, now),
            Input::Blind(failure) => {
                self.look = Look::None;
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

    /// The services that have failed and are tried again.
    #[must_use]
    pub fn failing(&self) -> BTreeSet<ServiceName> {
        self.failures.keys().cloned().collect()
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

    /// Takes note of the generations that exist.
    pub fn learn(&mut self, observed: &Observed) {
        for seen in &observed.instances {
            let last = self.last_generation.entry(seen.name.service.clone()).or_insert(seen.name.generation);
            *last = (*last).max(seen.name.generation);
        }
    }

    fn apply(&mut self, platform: Arc<Platform>, only: Option<BTreeSet<ServiceName>>) -> Vec<Effect> {
        // The manifest and the sources as they are: what was rolled back of them goes on.
        self.pins.retain(|service, _| only.as_ref().is_some_and(|only| !only.contains(service)));
        let asked = only.map(|names| with_callees(&platform, names));
        // What was asked for before stays asked for; asking for all asks for all from then on.
        self.active = match (self.platform.is_some(), self.active.take(), asked) {
            (true, Some(before), Some(more)) => Some(before.union(&more).cloned().collect()),
            (true, None, _) | (_, _, None) => None,
            (false, _, asked) => asked,
        };
        self.failures.clear();
        self.follow(platform)
    }

    fn follow(&mut self, platform: Arc<Platform>) -> Vec<Effect> {
        // A wish lasts until the manifest says something new about the same service.
        let before = self.platform.as_deref();
        self.scale.retain(|service, _| {
            let replicas = |platform: &Platform| platform.services.get(service).map(|spec| spec.run.replicas);
            let now = replicas(&platform);
            now.is_some() && before.is_none_or(|before| replicas(before) == now)
        });
        self.platform = Some(platform);
        self.known.clear();
        self.reconcile_soon()
    }

    fn succeed(&mut self, platform: Arc<Platform>, wishes: Wishes) -> Vec<Effect> {
        let Wishes { scale, restart_through, last_generation, pins, digests, active } = wishes;
        *self = Self { scale, restart_through, last_generation, ..Self::default() };
        let effects = self.apply(platform, active);
        self.pins = pins;
        self.known =
            digests.into_iter().map(|(name, digest)| (name, Known { digest, built: None })).collect();
        effects
    }

    fn restart(&mut self, services: BTreeSet<ServiceName>) -> Vec<Effect> {
        for service in &services {
            if let Some(generation) = self.last_generation.get(service) {
                self.restart_through.insert(service.clone(), *generation);
            }
        }
        self.try_anew(services)
    }

    /// Somebody asked for something of these services: what has failed so far, or fails in what is under
    /// way, says nothing about that.
    fn try_anew(&mut self, services: BTreeSet<ServiceName>) -> Vec<Effect> {
        self.failures.retain(|service, _| !services.contains(service));
        let runs = self.runs.values_mut();
        for run in runs.filter(|run| run.services.keys().any(|service| services.contains(service))) {
            run.is_superseded = true;
        }
        self.ask_for(services);
        self.reconcile_soon()
    }

    /// Adds to the services that are to run, with all that they call.
    fn ask_for(&mut self, services: BTreeSet<ServiceName>) {
        if let (Some(platform), Some(active)) = (&self.platform, &mut self.active) {
            active.extend(with_callees(platform, services));
        }
    }

    fn reconcile_soon(&mut self) -> Vec<Effect> {
        match self.look {
            // Nobody has asked for anything yet, so nothing differs from it.
            Look::None if self.platform.is_none() => vec![Effect::Settled],
            Look::None => {
                self.look = Look::Under;
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

    /// Begins what was decided. What is under way for a version that nobody wants any more ends.
    fn carry_out(&mut self, planned: Planned, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (id, run) in &mut self.runs {
            run.was_passed_over = true;
            if run.is_outdated(&planned) && !run.is_given_up {
                run.is_given_up = true;
                effects.push(Effect::GiveUp(*id));
            }
        }
        self.answered.clone_from(&self.drift);
        self.planned_at = Some(now);
        let Planned { plan, versions, known, failed } = planned;
        self.versions = versions;
        // How another version failed says nothing about the one that is wanted now.
        self.failures.retain(|service, trouble| {
            trouble.is_of_any_version()
                || failed.contains_key(service)
                || self.versions.get(service) == trouble.version.as_ref()
        });
        self.unpin(&known);
        for (service, failure) in failed {
            if !self.failures.get(&service).is_some_and(Trouble::has_failed) {
                effects.push(Effect::Announce(EventKind::StepFailed {
                    service: service.to_string(),
                    step: StepKind::Start,
                    subject: service.to_string(),
                    failure: failure.clone(),
                }));
                self.count_failure(&service, failure, None, now);
            }
        }
        for plan in plan.into_parts() {
            effects.push(self.begin(plan, &known));
        }
        if self.look != Look::Stale {
            self.known = known;
        }
        let was_stale = std::mem::replace(&mut self.look, Look::None) == Look::Stale;
        if was_stale {
            effects.extend(self.reconcile_soon());
        }
        effects.extend(self.settled());
        effects
    }

    /// What was rolled back stays so until its sources are others.
    fn unpin(&mut self, known: &BTreeMap<ServiceName, Known>) {
        self.pins.retain(|service, pin| match known.get(service) {
            Some(Known { digest, .. }) => pin.over.get_or_insert_with(|| digest.clone()) == digest,
            None => true,
        });
    }

    fn begin(&mut self, plan: Plan, known: &BTreeMap<ServiceName, Known>) -> Effect {
        let mut run = Run::of(&plan, &self.versions, known);
        let tried = self.failures.iter_mut().filter(|(service, _)| run.services.contains_key(*service));
        tried.filter(|(_, trouble)| trouble.is_of_any_version()).for_each(|(_, trouble)| {
            trouble.retry = Retry::UnderWay;
        });
        let waits = |service: &&ServiceName| {
            self.failures.get(*service).is_some_and(|one| one.version.is_some() && one.has_failed())
        };
        run.staying = run.services.keys().filter(waits).cloned().collect();
        self.runs_begun += 1;
        let id = RunId(self.runs_begun);
        self.runs.insert(id, run);
        Effect::Execute { run: id, plan }
    }

    /// Notes a failure and says how long the service has to wait.
    fn count_failure(
        &mut self,
        service: &ServiceName,
        failure: Failure,
        version: Option<SpecHash>,
        now: Instant,
    ) -> Duration {
        let trouble = Trouble::after(self.failures.remove(service), failure, version, now);
        let pause = trouble.retry_at().map_or(Duration::ZERO, |at| at - now);
        self.failures.insert(service.clone(), trouble);
        pause
    }

    fn finish(&mut self, id: RunId, report: Report, now: Instant) -> Vec<Effect> {
        let Some(run) = self.runs.remove(&id) else { return Vec::new() };
        let has_served = !report.succeeded.is_empty();
        let rests =
            |service: &&ServiceName| !report.built.contains(*service) && !run.staying.contains(*service);
        for service in report.succeeded.iter().filter(rests) {
            // Kept: a service that dies soon after getting ready is still failing in a row.
            if let Some(trouble) = self.failures.get_mut(service) {
                trouble.retry = Retry::UnderWay;
            }
            self.serving_since.insert(service.clone(), now);
        }
        // A build may have changed what it was made from; what failed may have lost what was made.
        self.known.retain(|service, _| !report.built.contains(service));
        self.known
            .iter_mut()
            .filter(|(service, _)| report.failed.contains_key(*service))
            .for_each(|(_, known)| known.built = None);
        if !run.is_superseded && !run.is_given_up {
            for (service, failure) in report.failed {
                let version = run.services.get(&service).cloned().flatten();
                self.count_failure(&service, failure, version, now);
            }
        }
        // What was built is to be started, what was broken off to be gone on with, and what could not be
        // started without one of these may be now.
        let goes_on = !report.built.is_empty()
            || !report.given_up.is_empty()
            || has_served && self.failures.values().any(Trouble::is_of_any_version);
        // A look that is under way leaves alone what was being worked on when it began.
        if goes_on || run.was_passed_over || run.is_superseded || self.look != Look::None {
            return self.reconcile_soon();
        }
        self.settled().into_iter().collect()
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

/// The named services and, transitively, all that they call.
fn with_callees(platform: &Platform, names: BTreeSet<ServiceName>) -> BTreeSet<ServiceName> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<ServiceName> = names.into_iter().collect();
    while let Some(name) = open.pop() {
        let Some(service) = platform.services.get(&name) else { continue };
        if reached.insert(name) {
            open.extend(service.calls.iter().cloned());
        }
    }
    reached
}

mod look;

#[cfg(test)]
mod tests;
