//! The instances of one service, sorted by what is to become of them.

use super::Planner;
use crate::model::desired::DesiredService;
use crate::model::instance::Generation;
use crate::model::observed::{InstanceState, ObservedInstance};

pub(super) struct Sorted<'a> {
    /// Of the wanted version and running.
    pub keep: Vec<&'a ObservedInstance>,
    /// Running, but of another version, more than wanted, renamed or paused.
    pub leave: Vec<&'a ObservedInstance>,
    /// Not running: to be cleared away.
    pub clear: Vec<&'a ObservedInstance>,
    /// The generation of the wanted version: the one that runs, or the next one.
    pub generation: Generation,
}

impl<'a> Sorted<'a> {
    /// Those of another version that could take requests, whether they do or not.
    pub fn others(&self) -> impl Iterator<Item = &'a ObservedInstance> {
        let others = self.leave.iter().filter(|seen| seen.name.generation != self.generation);
        others.filter(|seen| seen.state.is_running()).copied()
    }
}

impl<'a> Planner<'a> {
    pub(super) fn sort_instances(&self, service: &DesiredService) -> Sorted<'a> {
        let name = &service.spec.name;
        let is_wanted =
            |instance: &ObservedInstance| instance.hash == service.hash && !self.is_outdated(instance);
        let all = self.instances_of(name);
        // Labels that somebody meddled with may show two versions under one number: take a new one.
        let is_pure = |generation: Generation| {
            all.iter().all(|instance| instance.name.generation != generation || is_wanted(instance))
        };
        let wanted =
            all.iter().filter(|instance| is_wanted(instance)).map(|instance| instance.name.generation);
        let newest = wanted.filter(|generation| is_pure(*generation)).max();
        let highest = all.iter().map(|instance| instance.name.generation).max();
        let highest = highest.max(self.policy.last_generation.get(name).copied());
        let generation = newest.unwrap_or_else(|| highest.map_or(Generation::FIRST, Generation::next));

        // A paused instance takes no requests, and cannot be started anew under its name: it leaves.
        let (alive, clear): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|instance| instance.state.is_running() || instance.state == InstanceState::Paused);
        // One that was renamed goes on until another one has its place.
        let (mut keep, mut leave): (Vec<_>, Vec<_>) = alive.into_iter().partition(|instance| {
            let is_sound = matches!(instance.state, InstanceState::Running { .. });
            is_wanted(instance) && instance.name.generation == generation && is_sound
        });
        // Of too many, those that already take requests stay.
        keep.sort_by_key(|instance| (!self.is_admitted(&instance.name), instance.name.replica));
        leave.extend(keep.split_off(keep.len().min(usize::from(service.replicas))));
        Sorted { keep, leave, clear, generation }
    }

    /// Whether it is to be replaced although nothing about it differs.
    pub(super) fn is_outdated(&self, instance: &ObservedInstance) -> bool {
        let through = self.policy.restart_through.get(&instance.name.service);
        through.is_some_and(|last| instance.name.generation <= *last)
    }
}
