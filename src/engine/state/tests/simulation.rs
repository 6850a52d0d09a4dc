//! A platform in memory, in which everything may happen at any moment: its state decides, its plans are
//! carried out step by step, and it may die in between.
//!
//! `walk` carries a plan out, as an executor would.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::walk::{Walk, nature_of, recall, version_of};
use crate::engine::desire::Wished;
use crate::engine::executor::not_started;
use crate::engine::input::{Effect, Input, Planned, RunId};
use crate::engine::state::State;
use crate::engine::tests::fixtures::{name_of, platform, service, with_replicas};
use crate::model::catalog::Catalog;
use crate::model::desired::{Desired, DesiredService, Known, Pin};
use crate::model::event::Failure;
use crate::model::instance::{BuildDigest, Generation, InstanceName, Program, SpecHash};
use crate::model::name::ServiceName;
use crate::model::observed::InstanceState;
use crate::model::platform::{Platform, ServiceSpec};
use crate::plan::tests::world::World;
use crate::plan::{Plan, Policy, held_back, put_off};

/// Each calls the one before it, but the last one.
pub const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// After so many rounds, it will never come to rest.
const ENDLESS: usize = 2_000;

/// One thing that may happen. Numbers are taken modulo how many there are to choose from.
#[derive(Debug, Clone, Copy)]
pub enum Happening {
    /// Sources are saved.
    Save {
        service: usize,
        version: u32,
    },
    /// The manifest is saved: which services there are, how many of each, and a limit of theirs.
    Edit {
        services: u8,
        replicas: u16,
        pids: u32,
    },
    Apply {
        only: Option<usize>,
    },
    Scale {
        service: usize,
        replicas: u16,
    },
    Restart {
        service: usize,
    },
    Redeploy {
        service: usize,
    },
    RollBack {
        service: usize,
        version: u32,
    },
    /// An instance stops by itself.
    Die {
        instance: usize,
    },
    /// Somebody removes one by hand.
    Remove {
        instance: usize,
    },
    /// The engine is looked at.
    Look,
    /// The plan that is being made is made.
    Decide,
    /// It could not be.
    Blind,
    /// A plan that is carried out goes on by one step, or ends.
    Advance {
        run: usize,
        step: usize,
    },
    Pass {
        seconds: u64,
    },
    /// The process dies, and the next one is asked for everything.
    Crash,
    /// Another process takes over.
    Succeed,
}

pub struct Simulation {
    state: State,
    now: Instant,
    /// What is on disk.
    manifest: Arc<Platform>,
    sources: BTreeMap<ServiceName, u32>,
    built: BTreeSet<(ServiceName, u32)>,
    world: World,
    /// What the plan that is being made is made from.
    look: Option<(Arc<Platform>, Wished, Policy)>,
    walks: Vec<Walk>,
    /// Services that lost their last instance to a plan.
    pub gaps: Vec<String>,
    /// Services on which two were at work.
    pub clashes: Vec<String>,
}

impl Simulation {
    /// Everything is asked for, and nothing is there.
    pub fn new() -> Self {
        let sources = NAMES.map(|name| (name_of(name), 1)).into();
        let mut simulation = Self {
            state: State::default(),
            now: Instant::now(),
            manifest: manifest(0b1111, 1, 64),
            sources,
            built: BTreeSet::new(),
            world: World::default(),
            look: None,
            walks: Vec::new(),
            gaps: Vec::new(),
            clashes: Vec::new(),
        };
        simulation.apply(None);
        simulation
    }

    pub fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Save { service, version } => {
                self.sources.insert(nth(service), version);
                self.step(Input::Changed([nth(service)].into()));
            }
            Happening::Edit { services, replicas, pids } => {
                self.manifest = manifest(services, replicas, pids);
                self.step(Input::Edited(Arc::clone(&self.manifest)));
            }
            Happening::Apply { only } => self.apply(only.map(|service| [nth(service)].into())),
            Happening::Scale { service, replicas } => {
                self.step(Input::Scale { replicas: [(nth(service), replicas)].into() });
            }
            Happening::Restart { service } => self.step(Input::Restart { services: [nth(service)].into() }),
            Happening::Redeploy { service } => self.step(Input::Redeploy { services: [nth(service)].into() }),
            Happening::RollBack { service, version } => self.roll_back(nth(service), version),
            Happening::Die { instance } => self.die(instance),
            Happening::Remove { instance } => {
                if let Some(name) = self.running(instance) {
                    self.world.observed.instances.retain(|seen| seen.name != name);
                }
            }
            Happening::Look => self.observe(),
            Happening::Decide => self.decide(),
            Happening::Blind if self.look.take().is_some() => self.step(Input::Blind(Failure::default())),
            Happening::Blind => {}
            Happening::Advance { run, step } => self.advance(run, step),
            Happening::Pass { seconds } => self.pass(seconds),
            Happening::Crash => self.crash(),
            Happening::Succeed => self.succeed(),
        }
    }

    /// All that is wrong with the sources is mended, and everything is asked for. What is there once nothing
    /// more happens, as a plan of what has still to be done.
    pub fn come_to_rest(&mut self) -> String {
        self.manifest = manifest(0b0111, 2, 65);
        self.sources = NAMES.map(|name| (name_of(name), 1)).into();
        self.step(Input::Changed(NAMES.map(name_of).into()));
        self.apply(None);
        for _ in 0..ENDLESS {
            let before = self.state.is_executing();
            self.decide();
            while !self.walks.is_empty() {
                self.advance(0, 0);
            }
            if !self.state.is_executing() {
                self.observe();
                self.pass(61);
                if !before && !self.state.is_executing() {
                    return self.plan(&mut self.glance()).0.to_string();
                }
            }
        }
        panic!("it never comes to rest: {:#?}", self.state)
    }

    /// Somebody restarts a service and waits until that is done, while all that is under way goes on in the
    /// order that the numbers say. What a plan would still do for it then.
    pub fn restart_and_wait(&mut self, service: usize, course: &[usize]) -> Vec<String> {
        let name = nth(service);
        self.happen(Happening::Restart { service });
        for number in course.iter().chain(&[0, 1, 2]).cycle().take(ENDLESS) {
            if self.state.is_settled_for(&[name.clone()].into()) {
                let plan = self.plan(&mut self.glance()).0;
                let left = plan.steps.iter().filter(|step| step.service == name);
                return left.map(|step| format!("{} {}", step.action.kind(), step.subject())).collect();
            }
            match number % 3 {
                0 => self.decide(),
                _ => self.advance(number / 3, number / 7),
            }
        }
        panic!("nobody is ever told that {name} was restarted: {:#?}", self.state)
    }

    /// How many instances of the wanted versions take requests, how many are wanted, and how many are there.
    pub fn census(&self) -> Vec<(usize, usize, usize)> {
        let (platform, wished, _) = self.glance();
        let count = |(name, wanted): (&ServiceName, &DesiredService)| {
            let of_it: Vec<_> =
                self.world.observed.instances.iter().filter(|seen| seen.name.service == *name).collect();
            let right = of_it.iter().filter(|seen| seen.hash == wanted.hash && seen.state.is_running());
            let serving = right.count().min(self.world.serving(name));
            (serving, usize::from(wanted.replicas), of_it.len())
        };
        self.desire(&platform, &wished).0.services.iter().map(count).collect()
    }

    fn step(&mut self, input: Input) {
        for effect in self.state.step(input, self.now) {
            match effect {
                Effect::Reconcile => self.look = Some(self.glance()),
                Effect::Execute { run, plan } => self.begin(run, plan),
                Effect::GiveUp(run) => {
                    self.walks.iter_mut().filter(|walk| walk.run == run).for_each(Walk::give_up);
                }
                Effect::Recall(instance) => drop(recall(&[instance], &mut self.world)),
                Effect::Forget(instance) => self.world.forget(&instance),
                Effect::Announce(_) | Effect::Hear(_) | Effect::Settled => {}
            }
        }
    }

    fn begin(&mut self, run: RunId, plan: Plan) {
        for walk in &self.walks {
            let both = plan.services().into_iter().find(|service| walk.services().contains(service));
            self.clashes.extend(both.map(ToString::to_string));
        }
        let mut walk = Walk::new(run, plan, self.world.desired.clone());
        self.gaps.extend(walk.go_on(&mut self.world));
        self.walks.push(walk);
    }

    fn advance(&mut self, run: usize, step: usize) {
        if self.walks.is_empty() {
            return;
        }
        let run = run % self.walks.len();
        let walk = &mut self.walks[run];
        self.gaps.extend(walk.advance(step, &mut self.world, &mut self.built));
        if walk.is_done() {
            let walk = self.walks.remove(run);
            self.step(Input::Executed { run: walk.run, report: walk.report() });
        }
    }

    fn glance(&self) -> (Arc<Platform>, Wished, Policy) {
        let state = &self.state;
        let policy = Policy {
            held: state.held(),
            busy: state.busy(),
            waiting: state.waiting(self.now),
            last_generation: state.last_generation.clone(),
            restart_through: state.restart_through.clone(),
            edits: state.edits.clone(),
            ..Policy::default()
        };
        let wished =
            Wished { scale: state.scale.clone(), pins: state.pins.clone(), known: state.known.clone() };
        (state.platform.clone().expect("it was applied"), wished, policy)
    }

    /// As the engine decides, from the world as it is now.
    fn plan(
        &self,
        (platform, wished, policy): &mut (Arc<Platform>, Wished, Policy),
    ) -> (Plan, Desired, Planned) {
        let (desired, known) = self.desire(platform, wished);
        let (observed, catalog) = (&self.world.observed, &self.world.catalog);
        let back = held_back(&desired, observed, catalog, policy, &BTreeSet::new()).into_iter();
        let failed: BTreeMap<ServiceName, Failure> = back
            .map(|(service, culprit)| (service, Failure { is_lasting: true, ..not_started(&culprit) }))
            .collect();
        policy.held.extend(failed.keys().cloned());
        for seen in &observed.instances {
            let last =
                policy.last_generation.entry(seen.name.service.clone()).or_insert(seen.name.generation);
            *last = (*last).max(seen.name.generation);
        }
        let plan = crate::plan::plan(&desired, observed, catalog, policy);
        let versions = desired.services.iter().map(|(name, service)| (name.clone(), service.hash.clone()));
        let edits = policy.edits.clone();
        let first = plan.clone().until_built();
        let mut put_off = put_off(&desired, catalog, &policy.busy);
        put_off.extend(plan.left_out_of(&first));
        let planned = Planned { plan: first, versions: versions.collect(), edits, known, failed, put_off };
        (plan, desired, planned)
    }

    fn decide(&mut self) {
        let Some(mut look) = self.look.take() else { return };
        let (_, desired, planned) = self.plan(&mut look);
        self.world.desired = desired;
        self.step(Input::Planned(planned));
    }

    fn desire(&self, platform: &Platform, wished: &Wished) -> (Desired, BTreeMap<ServiceName, Known>) {
        let (mut desired, mut all_known) = (Desired::default(), BTreeMap::new());
        for (name, spec) in &platform.services {
            let read = || Known { digest: BuildDigest(self.sources[name].to_string()), built: None };
            let known = wished.known.get(name).cloned().unwrap_or_else(read);
            let pin = wished.pins.get(name);
            let pin = pin.filter(|pin| pin.over.as_ref().is_none_or(|over| *over == known.digest));
            let digest = pin.and_then(|pin| pin.digest.clone()).unwrap_or_else(|| known.digest.clone());
            let version: u32 = digest.0.parse().expect("a version is a number");
            let replicas = wished.scale.get(name).copied().unwrap_or(spec.run.replicas);
            desired.services.insert(name.clone(), self.wanted(spec, digest, version, replicas));
            all_known.insert(name.clone(), known);
        }
        (desired, all_known)
    }

    fn wanted(&self, spec: &ServiceSpec, digest: BuildDigest, version: u32, replicas: u16) -> DesiredService {
        DesiredService {
            spec: spec.clone(),
            digest,
            needs_build: !self.built.contains(&(spec.name.clone(), version)),
            program: Program::Image { reference: version.to_string() },
            environment: Vec::new(),
            hash: SpecHash(format!("{version}/{}", spec.run.limits.pids)),
            replicas,
            drain: Duration::from_secs(10),
        }
    }

    fn apply(&mut self, only: Option<BTreeSet<ServiceName>>) {
        self.step(Input::Apply { platform: Arc::clone(&self.manifest), only });
    }

    /// To what was built once and is sound.
    fn roll_back(&mut self, service: ServiceName, version: u32) {
        if self.built.contains(&(service.clone(), version)) {
            let (program, digest) =
                (Program::Image { reference: version.to_string() }, BuildDigest(version.to_string()));
            let pin = Pin { program, digest: Some(digest), to: Generation::FIRST, over: None };
            self.step(Input::RollBack { service, pin });
        }
    }

    fn running(&self, number: usize) -> Option<InstanceName> {
        let running = self.world.observed.instances.iter().filter(|seen| seen.state.is_running());
        let names: Vec<&InstanceName> = running.map(|seen| &seen.name).collect();
        names.get(number % names.len().max(1)).map(|name| (*name).clone())
    }

    fn die(&mut self, number: usize) {
        let Some(name) = self.running(number) else { return };
        let mut all = self.world.observed.instances.iter_mut();
        let dead = all.find(|seen| seen.name == name).expect("it runs");
        dead.state = InstanceState::Exited { code: Some(1), out_of_memory: false };
    }

    fn observe(&mut self) {
        let watched: BTreeSet<InstanceName> = self.walks.iter().flat_map(Walk::watched).collect();
        let mut catalog: Catalog = self.world.catalog.clone();
        for endpoints in catalog.services.values_mut() {
            endpoints.retain(|endpoint| !watched.contains(&endpoint.instance));
        }
        let observed = Arc::new(self.world.observed.clone());
        self.step(Input::Observed { observed, catalog: Arc::new(catalog) });
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.step(Input::Tick);
    }

    fn crash(&mut self) {
        let last_generation = self.state.last_generation.clone();
        (self.state, self.look) = (State::after(last_generation), None);
        self.walks.clear();
        self.world.catalog = Catalog::default();
        self.apply(None);
    }

    fn succeed(&mut self) {
        let wishes = self.state.wishes().expect("it was applied");
        (self.state, self.look) = (State::default(), None);
        self.walks.clear();
        self.step(Input::Succeed { platform: Arc::clone(&self.manifest), wishes });
    }

    /// What is wrong with a version, for those who read a failure.
    pub fn story(&self) -> String {
        let of_it = self.world.observed.instances.iter().map(|seen| {
            format!("{} {} ({:?}) {}", seen.name, seen.hash.0, nature_of(version_of(&seen.hash)), seen.state)
        });
        of_it.collect::<Vec<_>>().join("\n")
    }
}

fn nth(service: usize) -> ServiceName {
    name_of(NAMES[service % NAMES.len()])
}

fn manifest(services: u8, replicas: u16, pids: u32) -> Arc<Platform> {
    let calls: [&[&str]; 4] = [&[], &["a"], &["b"], &[]];
    let is_there = |number: usize| services >> number & 1 == 1;
    let there = NAMES.into_iter().zip(calls).enumerate().filter(|(number, _)| is_there(*number));
    Arc::new(platform(there.map(|(number, (name, calls))| {
        let calls: Vec<&str> =
            calls.iter().copied().filter(|_| number == 0 || is_there(number - 1)).collect();
        let mut spec = with_replicas(service(name, &calls), replicas);
        spec.run.limits.pids = pids;
        spec
    })))
}
