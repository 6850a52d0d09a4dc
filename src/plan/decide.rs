//! The decision itself: desired × observed × catalog → plan.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use self::sorted::Sorted;
use super::callees::is_served;
use super::policy::{Course, Leaving, Policy};
use super::step::{Action, Cause, Plan, Step, StepId};
use crate::model::catalog::{Catalog, EndpointState};
use crate::model::desired::{Desired, DesiredService};
use crate::model::instance::{Generation, InstanceName};
use crate::model::name::ServiceName;
use crate::model::observed::{InstanceState, Observed, ObservedInstance};

mod leavers;
mod sorted;
mod stand_ins;

/// Says what to do so that `observed` becomes `desired`.
///
/// Promises, each of which is a property test: an instance is admitted before the one that it
/// replaces is withdrawn; what served last of another version, and the oldest that runs, are removed only
/// after whoever replaced them has been watched; services start after those they call; planning the result
/// of a plan gives an empty plan; equal inputs give equal plans.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed, catalog: &Catalog, policy: &Policy) -> Plan {
    let mut planner = Planner {
        observed,
        catalog,
        policy,
        steps: Vec::new(),
        admissions: BTreeMap::new(),
        later: put_off(desired, catalog, &policy.busy),
    };
    for service in in_start_order(desired) {
        match policy.course(service) {
            _ if planner.later.contains(&service.spec.name) => {}
            Course::Follow => planner.plan_service(service),
            Course::Stay => planner.plan_stay(service),
        }
    }
    planner.plan_unread(desired);
    planner.plan_departures(desired);
    Plan { steps: planner.steps }
}

/// The services that are planned for when executors are done with what they wait for: those that `busy` ones
/// are, and whoever calls one of these that nothing serves yet.
#[must_use]
pub fn put_off(desired: &Desired, catalog: &Catalog, busy: &BTreeSet<ServiceName>) -> BTreeSet<ServiceName> {
    let mut later = busy.clone();
    for service in in_start_order(desired) {
        let waits_for = |callee: &ServiceName| later.contains(callee) && !is_served(callee, catalog);
        if service.spec.calls.iter().any(waits_for) {
            later.insert(service.spec.name.clone());
        }
    }
    later
}

/// Callees before their callers. The manifest has no cycles; should one get here, its services come
/// in the order of their names.
fn in_start_order(desired: &Desired) -> Vec<&DesiredService> {
    let mut ordered: Vec<&DesiredService> = Vec::new();
    let mut placed: BTreeSet<&ServiceName> = BTreeSet::new();
    while placed.len() < desired.services.len() {
        let is_free = |service: &&DesiredService| {
            let waits_for =
                |callee: &ServiceName| desired.services.contains_key(callee) && !placed.contains(callee);
            !placed.contains(&service.spec.name) && !service.spec.calls.iter().any(waits_for)
        };
        let mut free: Vec<&DesiredService> = desired.services.values().filter(is_free).collect();
        if free.is_empty() {
            free = desired.services.values().filter(|service| !placed.contains(&service.spec.name)).collect();
        }
        placed.extend(free.iter().map(|service| &service.spec.name));
        ordered.extend(free);
    }
    ordered
}

struct Planner<'a> {
    observed: &'a Observed,
    catalog: &'a Catalog,
    policy: &'a Policy,
    steps: Vec<Step>,
    /// The admissions planned so far, for the services that have to wait for them.
    admissions: BTreeMap<ServiceName, Vec<StepId>>,
    /// Services that are planned for another time.
    later: BTreeSet<ServiceName>,
}

/// An instance that is about to take requests, and the step by which it does.
struct Newcomer {
    instance: InstanceName,
    admission: StepId,
}

impl<'a> Planner<'a> {
    fn plan_service(&mut self, service: &DesiredService) {
        let sorted = self.sort_instances(service);
        let stand_ins = self.plan_stand_ins(service, &sorted);
        let mut newcomers = self.plan_adoptions(&sorted);
        newcomers.extend(self.plan_starts(service, &sorted));
        self.plan_leavers(service, &sorted, &newcomers, &stand_ins);
        self.plan_clearing(service, &sorted, &newcomers);
        if !newcomers.is_empty() {
            let admissions = newcomers.into_iter().map(|newcomer| newcomer.admission).collect();
            self.admissions.insert(service.spec.name.clone(), admissions);
        }
    }

    fn instances_of(&self, service: &ServiceName) -> Vec<&'a ObservedInstance> {
        self.observed.instances.iter().filter(|instance| instance.name.service == *service).collect()
    }

    /// What already runs as wanted, but is not routed to: after a restart of msctl itself.
    fn plan_adoptions(&mut self, sorted: &Sorted<'a>) -> Vec<Newcomer> {
        let unrouted = sorted.keep.iter().filter(|seen| !self.is_admitted(&seen.name));
        let unrouted: Vec<InstanceName> = unrouted.map(|seen| seen.name.clone()).collect();
        unrouted.into_iter().map(|instance| self.plan_admission(&[], instance, Cause::Adopted)).collect()
    }

    /// Takes an instance in once it is ready; `cause` is why that is waited for.
    fn plan_admission(&mut self, after: &[StepId], instance: InstanceName, cause: Cause) -> Newcomer {
        let service = &instance.service;
        let ready = self.push(after, service, Action::AwaitReady(instance.clone()), cause);
        let admission = self.push(&[ready], service, Action::Admit(instance.clone()), Cause::Ready);
        Newcomer { instance, admission }
    }

    fn plan_starts(&mut self, service: &DesiredService, sorted: &Sorted<'a>) -> Vec<Newcomer> {
        let name = &service.spec.name;
        let staying = sorted.keep.iter().chain(&sorted.leave);
        let of_generation = staying.filter(|instance| instance.name.generation == sorted.generation);
        let taken: BTreeSet<u16> = of_generation.map(|instance| instance.name.replica).collect();
        let missing = usize::from(service.replicas) - sorted.keep.len();
        let free: Vec<u16> =
            (1..=u16::MAX).filter(|replica| !taken.contains(replica)).take(missing).collect();
        if free.is_empty() {
            return Vec::new();
        }
        let mut before_start = self.callees_in_the_plan(service);
        if service.needs_build {
            before_start.push(self.push(&[], name, Action::Build, Cause::NotBuilt));
        }
        let mut leavers = sorted.leave.iter();
        let mut newcomers: Vec<Newcomer> = Vec::new();
        for replica in free {
            let instance = InstanceName { service: name.clone(), generation: sorted.generation, replica };
            let mut after = before_start.clone();
            if !sorted.leave.is_empty() {
                // Rolling: the next one waits until this one serves. It does not wait until this one has
                // been watched, so there are more than wanted by one and those that came within a window.
                after.extend(newcomers.last().map(|newcomer| newcomer.admission));
            }
            let leftover = sorted.clear.iter().find(|instance_seen| instance_seen.name == instance);
            let cause =
                self.start_cause(service, sorted, leavers.next().is_some(), leftover.map(|seen| seen.state));
            let start = self.push(&after, name, Action::Start(instance.clone()), cause);
            newcomers.push(self.plan_admission(&[start], instance, Cause::Started));
        }
        newcomers
    }

    /// The admissions that `service` has to wait for: those of callees that nothing serves yet.
    fn callees_in_the_plan(&self, service: &DesiredService) -> Vec<StepId> {
        let unserved = service.spec.calls.iter().filter(|callee| !self.is_served(callee));
        unserved.filter_map(|callee| self.admissions.get(callee)).flatten().copied().collect()
    }

    /// Clears away what does not run and is not about to be replaced under its own name.
    fn plan_clearing(&mut self, service: &DesiredService, sorted: &Sorted<'a>, newcomers: &[Newcomer]) {
        let name = &service.spec.name;
        let restarted: BTreeSet<InstanceName> = self.started_instances(name);
        let after: Vec<StepId> = newcomers.last().map(|newcomer| newcomer.admission).into_iter().collect();
        for instance in sorted.clear.iter().filter(|instance| !restarted.contains(&instance.name)) {
            let grace = service.spec.run.stop_grace;
            let action = Action::Remove { instance: instance.name.clone(), grace };
            self.push(&after, name, action, Cause::Stopped(instance.state));
        }
    }

    fn is_served(&self, service: &ServiceName) -> bool {
        is_served(service, self.catalog)
    }

    fn started_instances(&self, service: &ServiceName) -> BTreeSet<InstanceName> {
        let of_service = self.steps.iter().filter(|step| step.service == *service);
        of_service
            .filter_map(|step| match &step.action {
                Action::Start(instance) => Some(instance.clone()),
                _ => None,
            })
            .collect()
    }

    /// Everything that belongs to no service of the manifest goes.
    fn plan_departures(&mut self, desired: &Desired) {
        let observed = self.observed;
        let is_left = |service: &ServiceName| {
            self.policy.held.contains(service)
                || self.policy.waiting.contains_key(service)
                || self.later.contains(service)
        };
        let strangers: Vec<&ObservedInstance> = observed
            .instances
            .iter()
            .filter(|seen| !desired.services.contains_key(&seen.name.service) && !is_left(&seen.name.service))
            .collect();
        for instance in strangers {
            self.plan_departure(&instance.name, &[], &Cause::NotInManifest, self.policy.leaving);
        }
    }

    /// Takes an instance out of the traffic, as far as it is in it, and gives it time to finish; what its
    /// removal has to wait for then, and why it is removed.
    fn plan_parting(
        &mut self,
        instance: &InstanceName,
        after: &[StepId],
        cause: &Cause,
        drain: Duration,
    ) -> (Vec<StepId>, Cause) {
        match self.endpoint_state(instance) {
            Some(EndpointState::Ready) => self.plan_withdrawal(instance, after, cause, drain),
            Some(EndpointState::Draining) => {
                let drained = self.plan_drain(instance, &[], drain);
                ([after, &[drained]].concat(), Cause::Drained)
            }
            Some(EndpointState::Starting) | None => (after.to_vec(), cause.clone()),
        }
    }

    fn plan_withdrawal(
        &mut self,
        instance: &InstanceName,
        after: &[StepId],
        cause: &Cause,
        drain: Duration,
    ) -> (Vec<StepId>, Cause) {
        let action = Action::Withdraw(instance.clone());
        let withdrawn = self.push(after, &instance.service, action, cause.clone());
        (vec![self.plan_drain(instance, &[withdrawn], drain)], Cause::Drained)
    }

    fn plan_drain(&mut self, instance: &InstanceName, after: &[StepId], limit: Duration) -> StepId {
        let action = Action::Drain { instance: instance.clone(), limit };
        self.push(after, &instance.service, action, Cause::Withdrawn)
    }

    fn plan_departure(&mut self, instance: &InstanceName, after: &[StepId], cause: &Cause, leaving: Leaving) {
        let (parted, cause) = self.plan_parting(instance, after, cause, leaving.drain);
        let remove = Action::Remove { instance: instance.clone(), grace: leaving.grace };
        self.push(&parted, &instance.service, remove, cause);
    }

    fn endpoint_state(&self, instance: &InstanceName) -> Option<EndpointState> {
        let mut of_service = self.catalog.services.get(&instance.service).into_iter().flatten();
        of_service.find(|endpoint| endpoint.instance == *instance).map(|endpoint| endpoint.state)
    }

    fn is_admitted(&self, instance: &InstanceName) -> bool {
        self.endpoint_state(instance) == Some(EndpointState::Ready)
    }

    fn start_cause(
        &self,
        service: &DesiredService,
        sorted: &Sorted<'_>,
        replaces_one: bool,
        leftover: Option<InstanceState>,
    ) -> Cause {
        let replaced = sorted.leave.iter().find(|old| old.name.generation != sorted.generation);
        match (replaced, leftover) {
            (Some(old), _) if replaces_one && old.hash == service.hash => Cause::Restart(old.name.generation),
            (Some(old), _) if replaces_one => self.replacement(service, old.name.generation),
            (_, Some(state)) => Cause::Stopped(state),
            _ if sorted.keep.is_empty() && sorted.leave.is_empty() => Cause::FirstStart,
            _ => Cause::Scaled { from: sorted.keep.len(), to: usize::from(service.replicas) },
        }
    }

    fn replacement(&self, service: &DesiredService, before: Generation) -> Cause {
        match self.policy.edits.get(&service.spec.name) {
            Some(fields) => Cause::Edited { before, fields: fields.clone() },
            None => Cause::Replaces(before),
        }
    }

    fn push(&mut self, after: &[StepId], service: &ServiceName, action: Action, cause: Cause) -> StepId {
        let id = StepId(self.steps.len() + 1);
        let mut after = after.to_vec();
        after.sort_unstable();
        self.steps.push(Step { id, after, service: service.clone(), action, cause });
        id
    }
}
