//! Who takes requests while nobody of the wanted version does: what still runs of another one.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::Planner;
use super::sorted::Sorted;
use crate::model::desired::{Desired, DesiredService};
use crate::model::instance::InstanceName;
use crate::model::name::ServiceName;
use crate::model::observed::ObservedInstance;
use crate::plan::policy::Leaving;
use crate::plan::step::{Action, Cause, StepId};

/// Those that are called back, each with the step that does it.
pub(super) type StandIns = BTreeMap<InstanceName, StepId>;

impl<'a> Planner<'a> {
    /// Until the wanted version serves, others do, as many as are missing.
    pub(super) fn plan_stand_ins(&mut self, service: &DesiredService, sorted: &Sorted<'a>) -> StandIns {
        let admitted = sorted.keep.iter().filter(|seen| self.is_admitted(&seen.name)).count();
        let wanted = usize::from(service.replicas).saturating_sub(admitted);
        let chosen = self.best(sorted.others(), wanted);
        self.plan_recalls(chosen)
    }

    /// A service that is not brought to what is wanted: nobody has asked for it, or that has failed.
    pub(super) fn plan_stay(&mut self, service: &DesiredService) {
        let name = &service.spec.name;
        let failing = self.policy.failing(name);
        let running = self.instances_of(name).into_iter().filter(|seen| seen.state.is_running());
        // What ran before a restart is of the same version, and did not fail.
        let generation = self.sort_instances(service).generation;
        let has_failed =
            |seen: &&ObservedInstance| failing == Some(&seen.hash) && seen.name.generation == generation;
        let (failed, others): (Vec<_>, Vec<_>) = running.partition(has_failed);
        let admitted = failed.iter().filter(|seen| self.is_admitted(&seen.name)).count();
        let wanted = usize::from(service.replicas).saturating_sub(admitted);
        let chosen = self.best(others.iter().copied(), wanted);
        let is_replaced = !chosen.is_empty();
        let recalled: Vec<StepId> = self.plan_recalls(chosen).into_values().collect();
        let leaving = Leaving { drain: service.drain, grace: service.spec.run.stop_grace };
        let useless = failed.into_iter().filter(|seen| is_replaced && !self.is_admitted(&seen.name));
        for instance in useless.collect::<Vec<_>>() {
            self.plan_departure(&instance.name, &recalled, &Cause::Failed, leaving);
        }
    }

    /// Of services whose sources cannot be read, what was there last goes on serving.
    pub(super) fn plan_unread(&mut self, desired: &Desired) {
        let unread = self.policy.held.iter().filter(|name| !desired.services.contains_key(*name));
        let unread: Vec<ServiceName> = unread.filter(|name| !self.later.contains(*name)).cloned().collect();
        for name in unread {
            let running = self.instances_of(&name).into_iter().filter(|seen| seen.state.is_running());
            let newest = running.clone().map(|seen| seen.name.generation).max();
            if !self.is_served(&name) {
                let chosen = running.filter(|seen| Some(seen.name.generation) == newest).collect();
                self.plan_recalls(chosen);
            }
        }
    }

    /// So many of those that run: first who takes requests, then the newest.
    pub(super) fn best(
        &self,
        running: impl Iterator<Item = &'a ObservedInstance>,
        wanted: usize,
    ) -> Vec<&'a ObservedInstance> {
        let mut running: Vec<_> = running.collect();
        running.sort_by_key(|seen| {
            (!self.is_admitted(&seen.name), Reverse(seen.name.generation), seen.name.replica)
        });
        running.truncate(wanted);
        running
    }

    fn plan_recalls(&mut self, chosen: Vec<&'a ObservedInstance>) -> StandIns {
        let mut stand_ins = StandIns::new();
        for seen in chosen {
            if !self.is_admitted(&seen.name) {
                let recall = Action::Recall(seen.name.clone());
                let step = self.push(&[], &seen.name.service, recall, Cause::StandsIn);
                stand_ins.insert(seen.name.clone(), step);
            }
        }
        stand_ins
    }
}
