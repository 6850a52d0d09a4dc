//! What somebody asks for, beyond what any look could show.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::State;
use crate::engine::input::{Effect, Input, Wishes};
use crate::model::desired::Known;
use crate::model::name::ServiceName;
use crate::model::platform::Platform;

impl State {
    /// The services that somebody asks for something of; `None` is all.
    #[must_use]
    pub fn asked_of(input: &Input) -> Option<BTreeSet<ServiceName>> {
        match input {
            Input::Apply { platform, only: Some(only) } => Some(with_callees(platform, only.clone())),
            Input::Scale { replicas } => Some(replicas.keys().cloned().collect()),
            Input::Restart { services } | Input::Redeploy { services } => Some(services.clone()),
            Input::RollBack { service, .. } => Some([service.clone()].into()),
            _ => None,
        }
    }

    pub(super) fn apply(
        &mut self,
        platform: Arc<Platform>,
        only: Option<BTreeSet<ServiceName>>,
    ) -> Vec<Effect> {
        // The manifest and the sources as they are: what was rolled back of them goes on.
        self.pins.retain(|service, _| only.as_ref().is_some_and(|only| !only.contains(service)));
        let asked = only.map(|names| with_callees(&platform, names));
        self.pending.add(asked.iter().flatten().cloned());
        // What was asked for before stays asked for; asking for all asks for all from then on.
        self.active = match (self.platform.is_some(), self.active.take(), asked) {
            (true, Some(before), Some(more)) => Some(before.union(&more).cloned().collect()),
            (true, None, _) | (_, _, None) => None,
            (false, _, asked) => asked,
        };
        self.failures.clear();
        self.follow(platform)
    }

    pub(super) fn follow(&mut self, platform: Arc<Platform>) -> Vec<Effect> {
        // A wish lasts until the manifest says something new about the same service.
        let before = self.platform.as_deref();
        self.scale.retain(|service, _| {
            let replicas = |platform: &Platform| platform.services.get(service).map(|spec| spec.run.replicas);
            let now = replicas(&platform);
            now.is_some() && before.is_none_or(|before| replicas(before) == now)
        });
        self.note_edits(&platform);
        self.platform = Some(platform);
        self.known.clear();
        self.reconcile_soon()
    }

    fn note_edits(&mut self, platform: &Platform) {
        self.edits.retain(|service, _| platform.services.contains_key(service));
        let Some(before) = self.platform.as_deref() else { return };
        for (name, service) in &platform.services {
            let Some(old) = before.services.get(name) else { continue };
            let differences = platform.differences(service, before, old);
            if !differences.is_empty() {
                self.edits.entry(name.clone()).or_default().join(differences);
            }
        }
    }

    pub(super) fn succeed(&mut self, platform: Arc<Platform>, wishes: Wishes) -> Vec<Effect> {
        let Wishes { scale, restart_through, last_generation, pins, digests, active } = wishes;
        *self = Self { scale, restart_through, last_generation, ..Self::default() };
        let effects = self.apply(platform, active);
        self.pins = pins;
        self.known =
            digests.into_iter().map(|(name, digest)| (name, Known { digest, built: None })).collect();
        effects
    }

    pub(super) fn restart(&mut self, services: BTreeSet<ServiceName>) -> Vec<Effect> {
        for service in &services {
            if let Some(generation) = self.last_generation.get(service) {
                self.restart_through.insert(service.clone(), *generation);
            }
        }
        self.try_anew(services)
    }

    /// Somebody asked for something of these services: what has failed so far, or fails in what is under
    /// way, says nothing about that.
    pub(super) fn try_anew(&mut self, services: BTreeSet<ServiceName>) -> Vec<Effect> {
        self.failures.retain(|service, _| !services.contains(service));
        let runs = self.runs.values_mut();
        for run in runs.filter(|run| run.services.keys().any(|service| services.contains(service))) {
            run.is_superseded = true;
        }
        self.pending.add(services.iter().cloned());
        self.ask_for(services);
        self.reconcile_soon()
    }

    /// Adds to the services that are to run, with all that they call.
    fn ask_for(&mut self, services: BTreeSet<ServiceName>) {
        if let (Some(platform), Some(active)) = (&self.platform, &mut self.active) {
            active.extend(with_callees(platform, services));
        }
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
