//! Who takes requests while nobody of the wanted version does: what still runs of another one.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::sorted::Sorted;
use super::{Newcomer, Planner};
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
        self.plan_recalls(&chosen)
    }

    /// A service that is not brought to what is wanted: nobody has asked for it, or that has failed.
    pub(super) fn plan_stay(&mut self, service: &DesiredService) {
        let name = &service.spec.name;
        let failing = self.policy.failing(name);
        let running: Vec<_> =
            self.instances_of(name).into_iter().filter(|seen| seen.state.is_running()).collect();
        // What ran before a restart is of the same version, and did not fail.
        let generation = self.sort_instances(service).generation;
        let is_like_it = |seen: &ObservedInstance| failing == Some(&seen.hash) && !self.is_outdated(seen);
        let (failed, others): (Vec<_>, Vec<_>) =
            running.iter().copied().partition(|seen| is_like_it(seen) && seen.name.generation == generation);
        let admitted = failed.iter().filter(|seen| self.is_admitted(&seen.name)).count();
        let wanted = usize::from(service.replicas).saturating_sub(admitted);
        let chosen = self.best(others.into_iter(), wanted);
        let is_left = |seen: &&ObservedInstance| !chosen.contains(seen) && !self.is_admitted(&seen.name);
        let (useless, older): (Vec<_>, Vec<_>) =
            running.into_iter().filter(is_left).partition(|seen| is_like_it(seen));
        let stand_ins = self.plan_recalls(&chosen);
        if admitted == 0 && failing.is_some() {
            self.plan_end_of_watch(service, &chosen, older, &stand_ins);
        }
        let recalled: Vec<StepId> = stand_ins.into_values().collect();
        let leaving = Leaving { drain: service.drain, grace: service.spec.run.stop_grace };
        for instance in useless.into_iter().filter(|_| !chosen.is_empty()) {
            self.plan_departure(&instance.name, &recalled, &Cause::Failed, leaving);
        }
    }

    /// Who stands in for a version that failed may be on watch itself. When that is over, so is the time of
    /// those that it would have given way to.
    fn plan_end_of_watch(
        &mut self,
        service: &DesiredService,
        chosen: &[&'a ObservedInstance],
        leave: Vec<&'a ObservedInstance>,
        stand_ins: &StandIns,
    ) {
        let Some(generation) = chosen.iter().map(|seen| seen.name.generation).max() else { return };
        let sorted = Sorted { keep: chosen.to_vec(), leave, clear: Vec::new(), generation };
        let called_back = stand_ins
            .iter()
            .map(|(instance, recall)| Newcomer { instance: instance.clone(), admission: *recall });
        let called_back: Vec<Newcomer> = called_back.collect();
        self.plan_leavers(service, &sorted, &called_back, &StandIns::new());
    }

    /// Of services whose sources cannot be read, what was there last goes on serving.
    pub(super) fn plan_unread(&mut self, desired: &Desired) {
        let unread = self.policy.held.iter().filter(|name| !desired.services.contains_key(*name));
        let unread: Vec<ServiceName> = unread.filter(|name| !self.later.contains(*name)).cloned().collect();
        for name in unread {
            let running = self.instances_of(&name).into_iter().filter(|seen| seen.state.is_running());
            let newest = running.clone().map(|seen| seen.name.generation).max();
            if !self.is_served(&name) {
                let chosen: Vec<_> = running.filter(|seen| Some(seen.name.generation) == newest).collect();
                self.plan_recalls(&chosen);
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

    fn plan_recalls(&mut self, chosen: &[&'a ObservedInstance]) -> StandIns {
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
