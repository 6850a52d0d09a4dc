//! Plans that are carried out: which begin, which are given up, and what their ends mean.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::{Look, State};
use crate::engine::executor::Report;
use crate::engine::input::{Effect, Planned, RunId};
use crate::engine::trouble::{Retry, Trouble};
use crate::model::desired::Known;
use crate::model::difference::Differences;
use crate::model::event::{EventKind, Failure, StepKind};
use crate::model::instance::{BuildDigest, SpecHash};
use crate::model::name::ServiceName;
use crate::plan::{Action, Plan};

/// A plan that is being carried out.
#[derive(Debug, Clone, Default)]
pub(super) struct Run {
    /// With the version that each of them gets; `None` for one that goes.
    pub(super) services: BTreeMap<ServiceName, Option<SpecHash>>,
    /// What those of them are built from that are.
    builds: BTreeMap<ServiceName, BuildDigest>,
    /// Those of them whose version is not tried, because it failed: others are called back in its place.
    pub(super) staying: BTreeSet<ServiceName>,
    /// The edits of their manifests that it follows.
    edits: BTreeMap<ServiceName, Differences>,
    /// Somebody has asked for something else meanwhile: what fails now says nothing about that.
    pub(super) is_superseded: bool,
    pub(super) is_given_up: bool,
    /// A plan was made meanwhile, and left its services alone.
    pub(super) was_passed_over: bool,
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

impl State {
    /// Begins what was decided. What is under way for a version that nobody wants any more ends.
    pub(super) fn carry_out(&mut self, planned: Planned, now: Instant) -> Vec<Effect> {
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
        let Planned { plan, versions, edits, known, failed, put_off } = planned;
        self.pending.planned(&put_off);
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
        self.forget_idle(&plan, &edits);
        for plan in plan.into_parts() {
            effects.push(self.begin(plan, &edits, &known));
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

    /// Edits for which nothing has to be done.
    fn forget_idle(&mut self, plan: &Plan, edits: &BTreeMap<ServiceName, Differences>) {
        let mut at_stake = self.busy();
        at_stake.extend(plan.services().into_iter().cloned());
        at_stake.extend(self.held());
        at_stake.extend(self.failures.keys().cloned());
        for (service, followed) in edits.iter().filter(|(service, _)| !at_stake.contains(*service)) {
            self.have_followed(service, followed);
        }
    }

    fn have_followed(&mut self, service: &ServiceName, followed: &Differences) {
        if let Some(edits) = self.edits.get_mut(service) {
            edits.subtract(followed);
        }
        self.edits.retain(|_, edits| !edits.is_empty());
    }

    fn begin(
        &mut self,
        plan: Plan,
        edits: &BTreeMap<ServiceName, Differences>,
        known: &BTreeMap<ServiceName, Known>,
    ) -> Effect {
        let mut run = Run::of(&plan, &self.versions, known);
        let followed = edits.iter().filter(|(service, _)| run.services.contains_key(*service));
        run.edits = followed.map(|(service, edits)| (service.clone(), edits.clone())).collect();
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
    pub(super) fn count_failure(
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

    pub(super) fn finish(&mut self, id: RunId, report: Report, now: Instant) -> Vec<Effect> {
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
            if let Some(followed) = run.edits.get(service) {
                self.have_followed(service, followed);
            }
        }
        // A build may have changed what it was made from; what failed may have lost what was made.
        self.known.retain(|service, _| !report.built.contains(service));
        self.known
            .iter_mut()
            .filter(|(service, _)| report.failed.contains_key(*service))
            .for_each(|(_, known)| known.built = None);
        // It may leave something behind, or somebody in its place who is to be watched.
        let has_failed = report.failed.keys().any(|service| !run.staying.contains(service));
        if !run.is_superseded && !run.is_given_up {
            for (service, failure) in report.failed {
                let version = run.services.get(&service).cloned().flatten();
                self.count_failure(&service, failure, version, now);
            }
        }
        // What was built is to be started, what was broken off to be gone on with, and what could not be
        // started without one of these may be now.
        let goes_on = has_failed
            || !report.built.is_empty()
            || !report.given_up.is_empty()
            || has_served && self.failures.values().any(Trouble::is_of_any_version);
        // A look that is under way leaves alone what was being worked on when it began.
        if goes_on || run.was_passed_over || run.is_superseded || self.look != Look::None {
            self.pending.add(run.services.into_keys());
            return self.reconcile_soon();
        }
        self.settled().into_iter().collect()
    }
}
