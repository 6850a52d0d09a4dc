//! What a look at the world says about what takes requests.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::{Look, SOUND_AFTER, State};
use crate::engine::drift::{Drift, Wanted};
use crate::engine::executor::{LastWords, how_it_ended};
use crate::engine::input::Effect;
use crate::engine::observer::find;
use crate::model::catalog::{Catalog, EndpointState};
use crate::model::event::{EventKind, Failure};
use crate::model::instance::{InstanceName, SpecHash};
use crate::model::name::ServiceName;
use crate::model::observed::{InstanceState, Observed, ObservedInstance};
use crate::model::platform::{Platform, ServiceSpec};

/// How often it is planned again for what differs and stays so.
const PERIOD: Duration = Duration::from_secs(10);

impl State {
    /// Compares what takes requests with what runs.
    pub(super) fn look(&mut self, observed: &Observed, catalog: &Catalog, now: Instant) -> Vec<Effect> {
        let mut effects = self.see_again();
        self.learn(observed);
        let mut unserved = BTreeSet::new();
        let routed = catalog.endpoints().filter(|endpoint| endpoint.state == EndpointState::Ready);
        // Replicas that are lost together are one failure of their service.
        let mut pauses: BTreeMap<&ServiceName, Option<Duration>> = BTreeMap::new();
        for endpoint in routed {
            let instance = &endpoint.instance;
            let seen = find(observed, instance);
            // Running elsewhere is another life of it, which has to get ready first.
            if seen.is_some_and(|seen| seen.state.is_running() && seen.address == Some(endpoint.address)) {
                continue;
            }
            let state = seen.map(|seen| seen.state);
            let platform = self.platform.as_deref();
            let spec = platform.and_then(|platform| platform.services.get(&instance.service));
            let how = how_it_ended(state, spec);
            // The wanted version need not be the one that was lost.
            let version =
                seen.map(|seen| &seen.hash).or_else(|| self.versions.get(&instance.service)).cloned();
            // Only what ended by itself is a failure; what somebody did to it is repaired at once.
            let has_ended = matches!(state, Some(InstanceState::Exited { .. }));
            let pause = pauses.entry(&instance.service).or_insert(None);
            if has_ended && pause.is_none() {
                *pause = Some(self.count_loss(instance, &how, version, now));
            }
            effects.push(Effect::Forget(instance.clone()));
            unserved.insert(instance.clone());
            effects.push(Effect::Announce(EventKind::InstanceExited {
                service: instance.service.to_string(),
                instance: instance.to_string(),
                state: how,
                restart_in: pause.filter(|_| has_ended),
            }));
            if has_ended {
                effects.push(Effect::Hear(instance.clone()));
            }
        }
        if !pauses.is_empty() {
            // Before what was lost is forgotten, so that there is always somebody to ask.
            effects.splice(0..0, self.go_back(observed, catalog, &unserved));
            effects.extend(self.reconcile_soon());
        }
        let is_planned_for = effects.contains(&Effect::Reconcile);
        effects.extend(self.mend(observed, catalog, is_planned_for, now));
        effects
    }

    /// Plans for what differs: when it begins to, and every [`PERIOD`] for as long as it does. That a plan
    /// finds nothing to do about it is no reason to plan again at every look.
    fn mend(
        &mut self,
        observed: &Observed,
        catalog: &Catalog,
        is_planned_for: bool,
        now: Instant,
    ) -> Vec<Effect> {
        let drift = self.differences(observed, catalog);
        self.answered.retain(|known| drift.contains(known));
        let news: Vec<&Drift> = drift.difference(&self.answered).collect();
        let is_due = self.planned_at.is_none_or(|at| now.saturating_duration_since(at) >= PERIOD);
        let is_idle = self.look == Look::None;
        let mut effects = Vec::new();
        // What a plan is being made for anyway is nothing to tell of.
        if is_idle {
            let told = news.iter().map(|one| EventKind::Noticed {
                service: Some(one.service.to_string()),
                message: format!("{} {}", one.subject, one.state),
                hint: None,
            });
            effects.extend(told.map(Effect::Announce));
        }
        let is_unanswered = !news.is_empty() || (is_due && is_idle && !drift.is_empty());
        self.drift = drift;
        if is_unanswered && !is_planned_for {
            effects.extend(self.reconcile_soon());
        }
        effects
    }

    fn differences(&self, observed: &Observed, catalog: &Catalog) -> BTreeSet<Drift> {
        let Some(platform) = self.platform.as_deref() else { return BTreeSet::new() };
        let failed = self.failures.iter().filter(|(_, trouble)| trouble.has_failed());
        let mut apart = self.at_work();
        apart.extend(self.held());
        apart.extend(failed.map(|(service, _)| service.clone()));
        Wanted { platform, scale: &self.scale, versions: &self.versions, apart }.differs(observed, catalog)
    }

    /// The services that executors are at work on, and those that may have to wait for that.
    #[must_use]
    pub fn at_work(&self) -> BTreeSet<ServiceName> {
        match self.platform.as_deref() {
            Some(platform) => with_callers(platform, self.busy()),
            None => self.busy(),
        }
    }

    /// A run that replaces what has stopped meanwhile ends where something older could take requests in
    /// its place, and that is called back at once.
    fn go_back(
        &mut self,
        observed: &Observed,
        catalog: &Catalog,
        lost: &BTreeSet<InstanceName>,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (id, run) in &mut self.runs {
            let of_run = lost.iter().filter(|name| run.services.contains_key(&name.service));
            let called_back: BTreeSet<InstanceName> =
                of_run.flat_map(|name| way_back(observed, catalog, lost, name)).collect();
            if !called_back.is_empty() && !run.is_given_up {
                run.is_given_up = true;
                effects.extend(called_back.into_iter().map(Effect::Recall));
                effects.push(Effect::GiveUp(*id));
            }
        }
        effects
    }

    /// What an instance printed belongs to its failure, if that is the one that is shown.
    pub(super) fn heard(&mut self, instance: &InstanceName, words: LastWords) -> Vec<Effect> {
        if words.excerpt.is_empty() {
            return Vec::new();
        }
        let LastWords { excerpt, log } = words;
        let failure = self.failures.get_mut(&instance.service).map(|trouble| &mut trouble.failure);
        let is_its_own = |failure: &&mut Failure| failure.message.starts_with(&format!("{instance} "));
        if let Some(failure) = failure.filter(is_its_own) {
            failure.excerpt.clone_from(&excerpt);
            failure.log.clone_from(&log);
        }
        let (service, instance) = (instance.service.to_string(), instance.to_string());
        vec![Effect::Announce(EventKind::LastWords { service, instance, excerpt, log })]
    }

    /// Notes that an instance which took requests has stopped by itself.
    fn count_loss(
        &mut self,
        instance: &InstanceName,
        how: &str,
        version: Option<SpecHash>,
        now: Instant,
    ) -> Duration {
        let service = &instance.service;
        let was_sound = self.serving_since.get(service).is_some_and(|since| now - *since >= SOUND_AFTER);
        if was_sound {
            self.failures.remove(service);
        }
        let failure = Failure { message: format!("{instance} {how}"), ..Failure::default() };
        self.count_failure(service, failure, version, now)
    }
}

/// The newest that runs of those before an instance that was lost; none where its service is served.
fn way_back(
    observed: &Observed,
    catalog: &Catalog,
    lost: &BTreeSet<InstanceName>,
    name: &InstanceName,
) -> Vec<InstanceName> {
    let mut serving = catalog.services.get(&name.service).into_iter().flatten();
    if serving.any(|one| one.state == EndpointState::Ready && !lost.contains(&one.instance)) {
        return Vec::new();
    }
    let is_older = |seen: &&ObservedInstance| {
        seen.name.service == name.service && seen.name.generation < name.generation && seen.state.is_running()
    };
    let older = observed.instances.iter().filter(is_older).map(|seen| &seen.name);
    let newest = older.clone().map(|name| name.generation).max();
    older.filter(|name| Some(name.generation) == newest).cloned().collect()
}

/// These and all that call them, which may have to wait for them.
fn with_callers(platform: &Platform, mut services: BTreeSet<ServiceName>) -> BTreeSet<ServiceName> {
    loop {
        let waits = |service: &&ServiceSpec| {
            !services.contains(&service.name) && service.calls.iter().any(|callee| services.contains(callee))
        };
        let callers: Vec<ServiceName> =
            platform.services.values().filter(waits).map(|service| service.name.clone()).collect();
        if callers.is_empty() {
            return services;
        }
        services.extend(callers);
    }
}
