//! The decision itself: desired × observed × catalog → plan.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::step::{Action, Cause, Plan, Step, StepId};
use crate::model::catalog::{Catalog, EndpointState};
use crate::model::desired::{Desired, DesiredService};
use crate::model::instance::{Generation, InstanceName, SpecHash};
use crate::model::name::ServiceName;
use crate::model::observed::{InstanceState, Observed, ObservedInstance};

/// What planning has to respect besides the two snapshots.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Services that are left exactly as they are: nobody has asked for them.
    pub held: BTreeSet<ServiceName>,
    /// Services that an executor is at work on. They are left to it, and so is whatever has to wait for
    /// one of them that does not serve yet.
    pub busy: BTreeSet<ServiceName>,
    /// Services that are left as they are for a while because this version of them has failed; those that
    /// go have none.
    pub waiting: BTreeMap<ServiceName, Option<SpecHash>>,
    /// The highest generation that each service ever had here, running or not.
    pub last_generation: BTreeMap<ServiceName, Generation>,
    /// Instances up to this generation are to be replaced although nothing about them differs.
    pub restart_through: BTreeMap<ServiceName, Generation>,
    /// How long an instance that nobody wants any more has to stop, and its requests to finish.
    pub leaving: Leaving,
}

/// Limits for instances of services that are not in the manifest (any more).
#[derive(Debug, Clone, Copy)]
pub struct Leaving {
    pub drain: Duration,
    pub grace: Duration,
}

impl Default for Leaving {
    fn default() -> Self {
        Self { drain: Duration::from_secs(10), grace: Duration::from_secs(10) }
    }
}

/// Says what to do so that `observed` becomes `desired`.
///
/// Promises, each of which is a property test: an instance is admitted before the one that it
/// replaces is withdrawn; services start after those they call; planning the result of a plan gives
/// an empty plan; equal inputs give equal plans.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed, catalog: &Catalog, policy: &Policy) -> Plan {
    let mut planner = Planner {
        observed,
        catalog,
        policy,
        steps: Vec::new(),
        admissions: BTreeMap::new(),
        later: policy.busy.clone(),
    };
    for service in in_start_order(desired) {
        if planner.comes_later(service) {
            planner.later.insert(service.spec.name.clone());
        } else if !policy.leaves_alone(service) {
            planner.plan_service(service);
        }
    }
    planner.plan_departures(desired);
    Plan { steps: planner.steps }
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
    /// Services that are planned for when an executor is done with what they wait for.
    later: BTreeSet<ServiceName>,
}

impl Policy {
    fn leaves_alone(&self, service: &DesiredService) -> bool {
        let name = &service.spec.name;
        let failing = self.waiting.get(name).and_then(Option::as_ref);
        self.held.contains(name) || failing == Some(&service.hash)
    }
}

/// The instances of one service, sorted by what is to become of them.
struct Sorted<'a> {
    /// Of the wanted version and running.
    keep: Vec<&'a ObservedInstance>,
    /// Running, but of another version, more than wanted, paused or draining.
    leave: Vec<&'a ObservedInstance>,
    /// Not running: to be cleared away.
    clear: Vec<&'a ObservedInstance>,
    /// The generation of the wanted version: the one that runs, or the next one.
    generation: Generation,
}

impl<'a> Planner<'a> {
    fn comes_later(&self, service: &DesiredService) -> bool {
        let waits_for = |callee: &ServiceName| self.later.contains(callee) && !self.is_served(callee);
        self.later.contains(&service.spec.name) || service.spec.calls.iter().any(waits_for)
    }

    fn plan_service(&mut self, service: &DesiredService) {
        let sorted = self.sort_instances(service);
        let adoptions = self.plan_adoptions(&sorted);
        let mut admissions = self.plan_starts(service, &sorted);
        admissions.extend(adoptions);
        self.plan_leavers(service, &sorted);
        if !admissions.is_empty() {
            self.admissions.insert(service.spec.name.clone(), admissions);
        }
    }

    fn instances_of(&self, service: &ServiceName) -> Vec<&'a ObservedInstance> {
        self.observed.instances.iter().filter(|instance| instance.name.service == *service).collect()
    }

    fn sort_instances(&self, service: &DesiredService) -> Sorted<'a> {
        let name = &service.spec.name;
        let outdated = self.policy.restart_through.get(name);
        let is_wanted = |instance: &ObservedInstance| {
            instance.hash == service.hash && outdated.is_none_or(|last| instance.name.generation > *last)
        };
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
        let (mut keep, mut leave): (Vec<_>, Vec<_>) = alive.into_iter().partition(|instance| {
            let is_draining = self.endpoint_state(&instance.name) == Some(EndpointState::Draining);
            let is_of_use = instance.state.is_running() && !is_draining;
            is_wanted(instance) && instance.name.generation == generation && is_of_use
        });
        // Of too many, those that already take requests stay.
        keep.sort_by_key(|instance| (!self.is_admitted(&instance.name), instance.name.replica));
        leave.extend(keep.split_off(keep.len().min(usize::from(service.replicas))));
        Sorted { keep, leave, clear, generation }
    }

    /// What already runs as wanted, but is not routed to: after a restart of msctl itself.
    fn plan_adoptions(&mut self, sorted: &Sorted<'a>) -> Vec<StepId> {
        let unrouted: Vec<_> = sorted
            .keep
            .iter()
            .filter(|seen| seen.state.is_running() && !self.is_admitted(&seen.name))
            .collect();
        let mut admissions = Vec::new();
        for instance in unrouted {
            let name = &instance.name;
            let ready = self.push(&[], &name.service, Action::AwaitReady(name.clone()), Cause::Adopted);
            admissions.push(self.push(&[ready], &name.service, Action::Admit(name.clone()), Cause::Ready));
        }
        admissions
    }

    fn plan_starts(&mut self, service: &DesiredService, sorted: &Sorted<'a>) -> Vec<StepId> {
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
        let mut admissions: Vec<StepId> = Vec::new();
        for replica in free {
            let instance = InstanceName { service: name.clone(), generation: sorted.generation, replica };
            let mut after = before_start.clone();
            if !sorted.leave.is_empty() {
                // Rolling, one more than wanted at a time: the next waits until this one serves.
                after.extend(admissions.last());
            }
            let leftover = sorted.clear.iter().find(|instance_seen| instance_seen.name == instance);
            let cause =
                start_cause(service, sorted, leavers.next().is_some(), leftover.map(|seen| seen.state));
            let start = self.push(&after, name, Action::Start(instance.clone()), cause);
            let ready = self.push(&[start], name, Action::AwaitReady(instance.clone()), Cause::Started);
            admissions.push(self.push(&[ready], name, Action::Admit(instance), Cause::Ready));
        }
        admissions
    }

    /// The admissions that `service` has to wait for: those of callees that nothing serves yet.
    fn callees_in_the_plan(&self, service: &DesiredService) -> Vec<StepId> {
        let unserved = service.spec.calls.iter().filter(|callee| !self.is_served(callee));
        unserved.filter_map(|callee| self.admissions.get(callee)).flatten().copied().collect()
    }

    /// Lets go of instances of another version and of those too many, one for each admission, and
    /// clears away what does not run and is not about to be replaced under its own name.
    fn plan_leavers(&mut self, service: &DesiredService, sorted: &Sorted<'a>) {
        let name = &service.spec.name;
        let admissions: Vec<StepId> = self
            .steps
            .iter()
            .filter(|s| s.service == *name && matches!(s.action, Action::Admit(_)))
            .map(|s| s.id)
            .collect();
        let leaving = Leaving { drain: service.drain, grace: service.spec.run.stop_grace };
        for (index, instance) in sorted.leave.iter().enumerate() {
            let replaced = instance.name.generation != sorted.generation;
            let cause = if replaced { Cause::ReplacedBy(sorted.generation) } else { Cause::Surplus };
            // The last admission stands for every leaver beyond the number of new instances.
            let after: Vec<StepId> =
                admissions.get(index).or(admissions.last()).copied().into_iter().collect();
            self.plan_departure(instance, &after, &cause, leaving);
        }
        let restarted: BTreeSet<InstanceName> = self.started_instances(name);
        for instance in sorted.clear.iter().filter(|instance| !restarted.contains(&instance.name)) {
            let after: Vec<StepId> = admissions.last().copied().into_iter().collect();
            let action = Action::Remove { instance: instance.name.clone(), grace: leaving.grace };
            self.push(&after, name, action, Cause::Stopped(instance.state));
        }
    }

    fn is_served(&self, service: &ServiceName) -> bool {
        let endpoints = self.catalog.services.get(service).into_iter().flatten();
        endpoints.into_iter().any(|endpoint| endpoint.state == EndpointState::Ready)
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
            self.plan_departure(instance, &[], &Cause::NotInManifest, self.policy.leaving);
        }
    }

    fn plan_departure(
        &mut self,
        instance: &ObservedInstance,
        after: &[StepId],
        cause: &Cause,
        leaving: Leaving,
    ) {
        let name = &instance.name;
        let mut after = after.to_vec();
        let mut cause_of_removal = cause.clone();
        if self.is_admitted(name) {
            let withdraw = self.push(&after, &name.service, Action::Withdraw(name.clone()), cause.clone());
            let drain = Action::Drain { instance: name.clone(), limit: leaving.drain };
            after = vec![self.push(&[withdraw], &name.service, drain, Cause::Withdrawn)];
            cause_of_removal = Cause::Drained;
        }
        let remove = Action::Remove { instance: name.clone(), grace: leaving.grace };
        self.push(&after, &name.service, remove, cause_of_removal);
    }

    fn endpoint_state(&self, instance: &InstanceName) -> Option<EndpointState> {
        let mut of_service = self.catalog.services.get(&instance.service).into_iter().flatten();
        of_service.find(|endpoint| endpoint.instance == *instance).map(|endpoint| endpoint.state)
    }

    fn is_admitted(&self, instance: &InstanceName) -> bool {
        self.endpoint_state(instance) == Some(EndpointState::Ready)
    }

    fn push(&mut self, after: &[StepId], service: &ServiceName, action: Action, cause: Cause) -> StepId {
        let id = StepId(self.steps.len() + 1);
        self.steps.push(Step { id, after: after.to_vec(), service: service.clone(), action, cause });
        id
    }
}

fn start_cause(
    service: &DesiredService,
    sorted: &Sorted<'_>,
    replaces_one: bool,
    leftover: Option<InstanceState>,
) -> Cause {
    let replaced = sorted.leave.iter().find(|old| old.name.generation != sorted.generation);
    match (replaced, leftover) {
        (Some(old), _) if replaces_one && old.hash == service.hash => Cause::Restart(old.name.generation),
        (Some(old), _) if replaces_one => Cause::Replaces(old.name.generation),
        (_, Some(state)) => Cause::Stopped(state),
        _ if sorted.keep.is_empty() && sorted.leave.is_empty() => Cause::FirstStart,
        _ => Cause::Scaled { from: sorted.keep.len(), to: usize::from(service.replicas) },
    }
}
