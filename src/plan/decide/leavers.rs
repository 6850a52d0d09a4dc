//! Letting go of instances of another version and of those too many, and the way back from whoever
//! replaces them.

use super::sorted::Sorted;
use super::stand_ins::StandIns;
use super::{Newcomer, Planner};
use crate::model::desired::DesiredService;
use crate::model::instance::{Generation, InstanceName};
use crate::model::observed::ObservedInstance;
use crate::plan::policy::Leaving;
use crate::plan::step::{Action, Cause, StepId};

/// An instance that takes over from others, and the step by which it does; none where it has.
struct Successor {
    instance: InstanceName,
    admission: Option<StepId>,
}

/// Who is kept of other versions until a new one has been watched.
///
/// Whoever saves again and again replaces each version before it has been. Then it is the one that serves,
/// and the oldest, which is the last that proved itself; those in between are nobody's way back.
struct WayBack<'a> {
    fallbacks: Vec<&'a ObservedInstance>,
    oldest: Option<Generation>,
}

impl WayBack<'_> {
    fn keeps(&self, instance: &InstanceName) -> bool {
        Some(instance.generation) == self.oldest || self.fallbacks.iter().any(|seen| seen.name == *instance)
    }
}

/// A leaver on its way out.
struct Parting {
    instance: InstanceName,
    parted: Vec<StepId>,
    cause: Cause,
}

impl<'a> Planner<'a> {
    /// One leaver for each successor, the last of which stands for all that are left.
    pub(super) fn plan_leavers(
        &mut self,
        service: &DesiredService,
        sorted: &Sorted<'a>,
        newcomers: &[Newcomer],
        stand_ins: &StandIns,
    ) {
        let fallbacks = self.best(sorted.others(), usize::from(service.replicas));
        let (first, rest): (Vec<_>, Vec<_>) =
            sorted.leave.iter().copied().partition(|seen| fallbacks.contains(seen));
        let oldest = sorted.others().map(|seen| seen.name.generation).min();
        let way_back = WayBack { fallbacks, oldest };
        let mut leavers = first.into_iter().chain(rest).peekable();
        let mut successors = self.successors(sorted, newcomers).into_iter().peekable();
        while leavers.peek().is_some() {
            let successor = successors.next();
            let share = if successors.peek().is_some() { 1 } else { usize::MAX };
            let leavers: Vec<_> = leavers.by_ref().take(share).collect();
            self.plan_succession(service, sorted, successor, &leavers, &way_back, stand_ins);
        }
    }

    /// Those that are taken in, or else those that have been.
    fn successors(&self, sorted: &Sorted<'a>, newcomers: &[Newcomer]) -> Vec<Successor> {
        if newcomers.is_empty() {
            let admitted = sorted.keep.iter().filter(|seen| self.is_admitted(&seen.name));
            return admitted.map(|seen| Successor { instance: seen.name.clone(), admission: None }).collect();
        }
        let came = newcomers.iter();
        came.map(|newcomer| Successor {
            instance: newcomer.instance.clone(),
            admission: Some(newcomer.admission),
        })
        .collect()
    }

    fn plan_succession(
        &mut self,
        service: &DesiredService,
        sorted: &Sorted<'a>,
        successor: Option<Successor>,
        leavers: &[&'a ObservedInstance],
        way_back: &WayBack<'a>,
        stand_ins: &StandIns,
    ) {
        let leaving = Leaving { drain: service.drain, grace: service.spec.run.stop_grace };
        let admission = successor.as_ref().and_then(|successor| successor.admission);
        let partings: Vec<Parting> = leavers
            .iter()
            .map(|seen| self.plan_leaver(sorted, seen, admission, stand_ins, leaving))
            .collect();
        let fallbacks = &way_back.fallbacks;
        let otherwise: Vec<_> = leavers.iter().copied().filter(|seen| fallbacks.contains(seen)).collect();
        let watched = successor.and_then(|successor| self.plan_watch(successor, &otherwise));
        for Parting { instance, parted, cause } in partings {
            let after = watched.filter(|_| way_back.keeps(&instance)).into_iter().chain(parted);
            let after: Vec<StepId> = after.collect();
            let remove = Action::Remove { instance, grace: leaving.grace };
            self.push(&after, &service.spec.name, remove, cause);
        }
    }

    fn plan_leaver(
        &mut self,
        sorted: &Sorted<'a>,
        seen: &ObservedInstance,
        admission: Option<StepId>,
        stand_ins: &StandIns,
        leaving: Leaving,
    ) -> Parting {
        let instance = seen.name.clone();
        let replaced = instance.generation != sorted.generation;
        let cause = if replaced { Cause::ReplacedBy(sorted.generation) } else { Cause::Surplus };
        let recall = stand_ins.get(&instance).copied();
        let after: Vec<StepId> = recall.into_iter().chain(admission).collect();
        let (parted, cause) = if recall.is_some() {
            self.plan_withdrawal(&instance, &after, &cause, leaving.drain)
        } else {
            self.plan_parting(&instance, &after, &cause, leaving.drain)
        };
        Parting { instance, parted, cause }
    }

    /// `None` where there is nobody to go back to.
    fn plan_watch(&mut self, successor: Successor, otherwise: &[&'a ObservedInstance]) -> Option<StepId> {
        let before = otherwise.first()?.name.generation;
        let service = successor.instance.service.clone();
        let watch = Action::Watch {
            instance: successor.instance,
            window: self.policy.window,
            otherwise: otherwise.iter().map(|seen| seen.name.clone()).collect(),
        };
        let after: Vec<StepId> = successor.admission.into_iter().collect();
        Some(self.push(&after, &service, watch, Cause::Untried(before)))
    }
}
