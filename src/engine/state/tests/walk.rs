//! A plan on its way through a world in memory, one step at a time and in any order that it allows.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::executor::{Report, not_started};
use crate::engine::input::RunId;
use crate::model::desired::Desired;
use crate::model::event::Failure;
use crate::model::instance::{InstanceName, SpecHash};
use crate::model::name::ServiceName;
use crate::plan::tests::world::World;
use crate::plan::{Action, Plan, Step, StepId};

/// What becomes of the instances of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    Sound,
    /// There will never be any.
    Unbuildable,
    NeverReady,
    /// They stop while they are watched.
    Mortal,
}

pub fn nature_of(version: u32) -> Nature {
    match version % 6 {
        3 => Nature::Unbuildable,
        4 => Nature::NeverReady,
        5 => Nature::Mortal,
        _ => Nature::Sound,
    }
}

/// A hash begins with the version.
pub fn version_of(hash: &SpecHash) -> u32 {
    hash.0.split('/').next().and_then(|version| version.parse().ok()).expect("a version is a number")
}

pub struct Walk {
    pub run: RunId,
    plan: Plan,
    desired: Desired,
    done: BTreeSet<StepId>,
    stuck: BTreeMap<StepId, ServiceName>,
    failed: BTreeMap<ServiceName, Failure>,
    broken_off: BTreeSet<ServiceName>,
    turned_back: BTreeSet<ServiceName>,
    is_given_up: bool,
}

enum Unfinished {
    Failed(Failure),
    GivenUp,
}

impl Walk {
    pub fn new(run: RunId, plan: Plan, desired: Desired) -> Self {
        let (done, stuck, failed) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
        let (broken_off, turned_back) = (BTreeSet::new(), BTreeSet::new());
        Self { run, plan, desired, done, stuck, failed, broken_off, turned_back, is_given_up: false }
    }

    pub fn services(&self) -> Vec<&ServiceName> {
        self.plan.services()
    }

    pub fn give_up(&mut self) {
        self.is_given_up = true;
    }

    pub fn is_done(&self) -> bool {
        self.plan.steps.iter().all(|step| self.done.contains(&step.id) || self.stuck.contains_key(&step.id))
    }

    /// The instances whose end a step is waiting for.
    pub fn watched(&self) -> Vec<InstanceName> {
        let watching = self.open().into_iter().filter_map(|step| match step.action {
            Action::Watch { instance, .. } => Some(instance),
            _ => None,
        });
        watching.collect()
    }

    pub fn report(self) -> Report {
        let ended = |service: &&ServiceName| {
            !self.failed.contains_key(*service) && !self.broken_off.contains(*service)
        };
        let succeeded: BTreeSet<ServiceName> =
            self.plan.services().into_iter().filter(ended).cloned().collect();
        let builds = self.plan.steps.iter().filter(|step| step.action == Action::Build);
        let built = builds.map(|step| &step.service).filter(|service| succeeded.contains(*service));
        Report {
            built: built.cloned().collect(),
            succeeded,
            failed: self.failed,
            given_up: self.broken_off,
            unseen: None,
        }
    }

    /// One of the steps that may end next ends, and all follow that take no time. Gives the services that
    /// nobody serves any more since.
    pub fn advance(
        &mut self,
        number: usize,
        world: &mut World,
        built: &mut BTreeSet<(ServiceName, u32)>,
    ) -> Vec<String> {
        let open = self.open();
        let Some(step) = open.get(number % open.len().max(1)) else { return Vec::new() };
        let mut gaps: Vec<String> = self.end(step, world, built).into_iter().collect();
        gaps.extend(self.go_on(world));
        gaps
    }

    /// Everything is done that takes no time.
    pub fn go_on(&mut self, world: &mut World) -> Vec<String> {
        let mut gaps = Vec::new();
        let is_instant =
            |step: &&Step| matches!(step.action, Action::Admit(_) | Action::Withdraw(_) | Action::Recall(_));
        self.hold_back();
        while let Some(step) = self.open().iter().find(is_instant) {
            gaps.extend(self.end(step, world, &mut BTreeSet::new()));
            self.hold_back();
        }
        gaps
    }

    fn open(&self) -> Vec<Step> {
        let is_open = |step: &&Step| {
            let is_over = self.done.contains(&step.id) || self.stuck.contains_key(&step.id);
            !is_over && step.after.iter().all(|id| self.done.contains(id))
        };
        self.plan.steps.iter().filter(is_open).cloned().collect()
    }

    /// What cannot be begun because of something else.
    fn hold_back(&mut self) {
        for step in &self.plan.steps {
            let is_over = self.done.contains(&step.id) || self.stuck.contains_key(&step.id);
            // What had begun when it was turned back is broken off, and ends.
            let has_begun = step.after.iter().all(|id| self.done.contains(id)) && step.action.is_revocable();
            if is_over {
                continue;
            }
            if let Some(culprit) = step.after.iter().find_map(|id| self.stuck.get(id)).cloned() {
                if culprit != step.service && !self.failed.contains_key(&step.service) {
                    if self.broken_off.contains(&culprit) {
                        self.broken_off.insert(step.service.clone());
                    } else {
                        self.failed.insert(step.service.clone(), not_started(&culprit));
                    }
                }
                self.stuck.insert(step.id, step.service.clone());
            } else if self.turned_back.contains(&step.service) && !has_begun {
                self.stuck.insert(step.id, step.service.clone());
            }
        }
    }

    fn end(
        &mut self,
        step: &Step,
        world: &mut World,
        built: &mut BTreeSet<(ServiceName, u32)>,
    ) -> Option<String> {
        let before = world.serving(&step.service);
        let is_broken_off = self.is_given_up || self.turned_back.contains(&step.service);
        let ended = match &step.action {
            action if action.is_revocable() && is_broken_off => self.break_off(step, world),
            _ => self.perform(step, world, built),
        };
        match ended {
            Ok(()) => drop(self.done.insert(step.id)),
            Err(unfinished) => {
                self.stuck.insert(step.id, step.service.clone());
                match unfinished {
                    Unfinished::GivenUp => drop(self.broken_off.insert(step.service.clone())),
                    Unfinished::Failed(failure) => {
                        self.failed.entry(step.service.clone()).or_insert(failure);
                    }
                }
            }
        }
        let is_withdrawal = matches!(step.action, Action::Withdraw(_));
        let is_wanted = self.desired.services.get(&step.service).is_some_and(|service| service.replicas > 0);
        let is_gap = is_withdrawal && is_wanted && before > 0 && world.serving(&step.service) == 0;
        is_gap.then(|| format!("{} in\n{}", step.subject(), self.plan))
    }

    fn break_off(&mut self, step: &Step, world: &mut World) -> Result<(), Unfinished> {
        if let Action::Watch { instance, otherwise, .. } = &step.action
            && self.turned_back.contains(&step.service)
        {
            recall(otherwise, world);
            world.withdraw(instance);
        }
        Err(Unfinished::GivenUp)
    }

    fn perform(
        &mut self,
        step: &Step,
        world: &mut World,
        built: &mut BTreeSet<(ServiceName, u32)>,
    ) -> Result<(), Unfinished> {
        let wanted = self.desired.services.get(&step.service);
        let nature = wanted.map_or(Nature::Sound, |wanted| nature_of(version_of(&wanted.hash)));
        match &step.action {
            Action::Build if nature == Nature::Unbuildable => return Err(failed(true)),
            Action::Build => {
                let wanted = wanted.expect("only what is wanted is built");
                built.insert((step.service.clone(), version_of(&wanted.hash)));
            }
            Action::Start(instance) => {
                let hash = wanted.expect("only what is wanted is started").hash.0.clone();
                *world = std::mem::take(world).runs(&instance.to_string(), &hash);
            }
            Action::AwaitReady(instance) => {
                if nature == Nature::NeverReady || !world.is_running(instance) {
                    world.remove(instance);
                    return Err(failed(false));
                }
            }
            Action::Recall(instance) => drop(recall(std::slice::from_ref(instance), world)),
            Action::Watch { instance, otherwise, .. } => {
                if nature == Nature::Mortal || !world.is_running(instance) {
                    let recalled = recall(otherwise, world);
                    self.turned_back.insert(step.service.clone());
                    world.remove(instance);
                    return Err(failed(recalled));
                }
            }
            Action::Withdraw(instance) => world.withdraw(instance),
            Action::Admit(_) | Action::Drain { .. } | Action::Remove { .. } => world.apply(step),
        }
        Ok(())
    }
}

/// Those that run take requests again; whether any does.
pub fn recall(instances: &[InstanceName], world: &mut World) -> bool {
    let running: Vec<&InstanceName> =
        instances.iter().filter(|instance| world.is_running(instance)).collect();
    for instance in &running {
        *world = std::mem::take(world).serves(&instance.to_string());
    }
    !running.is_empty()
}

fn failed(is_lasting: bool) -> Unfinished {
    Unfinished::Failed(Failure { message: "it fails".to_owned(), is_lasting, ..Failure::default() })
}
