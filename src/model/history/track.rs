//! The deployments of one service.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use crate::model::deployment::{Beginning, Cause, Deployment, Outcome, Recipe, Stage, Timings};
use crate::model::event::{Failure, StepKind, Wish};
use crate::model::instance::InstanceName;

/// How much of each text of a failure is kept. Services and builds print what they like.
const LONGEST_TEXT: usize = 500;

#[derive(Debug)]
pub(super) struct Track {
    service: String,
    /// Those of which something may still become, and the latest; oldest first.
    deployments: Vec<Deployment>,
    /// The replicas that take requests, by generation.
    serving: BTreeMap<u32, BTreeSet<u16>>,
    /// A build that belongs to no deployment yet.
    build: Option<Build>,
    /// The deployment whose instances are being brought in.
    rolling: Option<u64>,
    /// How the one that is tried again failed before.
    failed_before: Option<(u64, Outcome)>,
    /// What was asked for and has not led to a deployment yet.
    asked: Option<Wish>,
    /// The numbers of those that were changed since somebody asked.
    changed: BTreeSet<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Build {
    since: SystemTime,
    done: Option<SystemTime>,
}

impl Track {
    pub(super) fn of(service: &str) -> Self {
        Self {
            service: service.to_owned(),
            deployments: Vec::new(),
            serving: BTreeMap::new(),
            build: None,
            rolling: None,
            failed_before: None,
            asked: None,
            changed: BTreeSet::new(),
        }
    }

    pub(super) fn keep(&mut self, deployment: Deployment) {
        self.deployments.push(deployment);
    }

    pub(super) fn serves(&mut self, instance: &InstanceName) {
        self.serving.entry(instance.generation.number()).or_default().insert(instance.replica);
    }

    /// Those that were changed, as they are now. What nothing can become of any more is forgotten.
    pub(super) fn changed(&mut self) -> Vec<Deployment> {
        if self.changed.is_empty() {
            return Vec::new();
        }
        let numbers = std::mem::take(&mut self.changed);
        let changed = self.deployments.iter().filter(|one| numbers.contains(&one.number)).cloned().collect();
        let latest = self.deployments.last().map(|one| (one.number, one.generation));
        self.deployments.retain(|one| {
            // It may be called back.
            let is_last_but_one = match one.outcome {
                Outcome::Superseded { by } => latest.is_some_and(|(_, generation)| generation == by),
                _ => false,
            };
            let is_latest = latest.is_some_and(|(number, _)| number == one.number);
            one.is_open() || is_latest || is_last_but_one || self.serving.contains_key(&one.generation)
        });
        changed
    }

    pub(super) fn ask(&mut self, wish: Wish) {
        self.asked = Some(wish);
    }

    /// Every instance that was to be brought in has been, or has failed.
    pub(super) fn settle(&mut self) {
        self.rolling = None;
    }

    /// The platform is stopping: nothing that is under way will come to its end.
    pub(super) fn give_up(&mut self) {
        (self.build, self.rolling, self.asked) = (None, None, None);
        self.each(|one| {
            if one.outcome == Outcome::UnderWay {
                one.outcome = Outcome::Stopped;
            }
        });
    }

    pub(super) fn take_down(&mut self, at: SystemTime) {
        let serving = std::mem::take(&mut self.serving);
        self.each(|one| {
            if one.outcome == Outcome::Live || serving.contains_key(&one.generation) {
                one.stopped.get_or_insert(at);
            }
            if one.is_open() {
                one.outcome = Outcome::Stopped;
            }
        });
    }

    pub(super) fn begin(&mut self, beginning: Beginning) {
        let of_generation = self.under_way(Some(beginning.generation));
        let latest = match of_generation {
            Some(number) => self.deployments.iter_mut().find(|one| one.number == number),
            None => self.deployments.last_mut(),
        };
        let Beginning { generation, cause, began, timings, recipe, .. } = beginning;
        let number = match latest {
            // Said of what is known already, by its steps or from before this process.
            Some(one) if one.generation == generation && one.outcome == Outcome::UnderWay => {
                (one.cause, one.began, one.timings, one.recipe) = (cause, began, timings, recipe);
                one.number
            }
            Some(one) if cause == Cause::TriedAgain && matches!(one.outcome, Outcome::Failed { .. }) => {
                one.attempts += 1;
                self.failed_before = Some((one.number, one.outcome.clone()));
                (one.generation, one.began, one.timings) = (generation, began, timings);
                (one.outcome, one.stopped, one.recipe) = (Outcome::UnderWay, None, recipe);
                one.number
            }
            _ => self.add(generation, cause, began, timings, recipe),
        };
        self.supersede(number, generation);
        (self.build, self.asked, self.rolling) = (None, None, Some(number));
        self.changed.insert(number);
    }

    pub(super) fn started(&mut self, step: StepKind, instance: Option<&InstanceName>, at: SystemTime) {
        match (step, instance) {
            (StepKind::Build, _) if self.under_way(None).is_none() => {
                self.build = Some(Build { since: at, done: None });
            }
            (StepKind::Start, Some(instance)) => self.expect(instance.generation.number(), at),
            _ => {}
        }
    }

    pub(super) fn finished(&mut self, step: StepKind, instance: Option<&InstanceName>, at: SystemTime) {
        match (step, instance) {
            (StepKind::Build, _) => match self.under_way(None) {
                Some(number) => self.update(number, |one| {
                    if one.timings.at(Stage::Built).is_none() {
                        reach(one, Stage::Built, at);
                    }
                }),
                None => self.build.iter_mut().for_each(|build| build.done = Some(at)),
            },
            (StepKind::Start, Some(instance)) => self.first(instance, Stage::Started, at),
            (StepKind::AwaitReady, Some(instance)) => self.first(instance, Stage::Ready, at),
            (StepKind::Admit, Some(instance)) => self.admitted(instance, at),
            (StepKind::Withdraw | StepKind::Remove, Some(instance)) => self.left(instance, at),
            _ => {}
        }
    }

    /// The parts of a build, which is over only now.
    pub(super) fn built(&mut self, built: SystemTime, shipped: SystemTime) {
        if let Some(number) = self.under_way(None) {
            self.update(number, |one| {
                reach(one, Stage::Built, built);
                reach(one, Stage::Shipped, shipped);
            });
        }
    }

    pub(super) fn failed(
        &mut self,
        step: StepKind,
        instance: Option<&InstanceName>,
        failure: &Failure,
        at: SystemTime,
    ) {
        if step > StepKind::AwaitReady && step != StepKind::Watch {
            return;
        }
        let generation = instance.map(|instance| instance.generation.number());
        // Live by then, as far as anybody could know.
        let watched = generation.filter(|_| step == StepKind::Watch).and_then(|number| self.newest(number));
        let number = match watched.or(self.under_way(generation)).or(self.rolling_as(generation)) {
            Some(number) => number,
            // It had been live for long: one of its instances is not brought back.
            None if generation.is_some_and(|generation| self.is_live(generation)) => return,
            None => {
                let generation = generation.unwrap_or_else(|| self.next_generation());
                self.begin(self.inferred(generation, at));
                self.deployments.last().map_or(0, |one| one.number)
            }
        };
        self.rolling = None;
        self.update(number, |one| one.outcome = Outcome::Failed { failure: bounded(failure) });
    }

    pub(super) fn made(&mut self, generation: u32, recipe: &Recipe) {
        if let Some(number) = self.under_way(Some(generation)) {
            self.update(number, |one| one.recipe = recipe.clone());
        }
    }

    pub(super) fn reach(&mut self, generation: u32, stage: Stage, at: SystemTime) {
        if let Some(number) = self.newest(generation) {
            self.update(number, |one| reach(one, stage, at));
        }
    }

    pub(super) fn end(&mut self, generation: u32, outcome: &Outcome, at: SystemTime) {
        let Some(number) = self.newest(generation) else { return };
        self.rolling = None;
        let outcome = match outcome {
            Outcome::Failed { failure } => Outcome::Failed { failure: bounded(failure) },
            Outcome::Unchanged => self.came_to_nothing(number),
            other => other.clone(),
        };
        self.update(number, |one| {
            if outcome == Outcome::Live && one.took().is_none() {
                reach(one, Stage::Switched, at);
            }
            one.outcome = outcome;
        });
    }

    /// What becomes of one that something which serves already is wanted instead of.
    fn came_to_nothing(&mut self, number: u64) -> Outcome {
        if let Some((_, failed)) = self.failed_before.take_if(|(failed, _)| *failed == number) {
            return failed;
        }
        let has_run = |one: &&Deployment| one.number == number && one.timings.at(Stage::Started).is_some();
        let live = self.deployments.iter().rfind(|one| one.outcome == Outcome::Live);
        match live.filter(|_| self.deployments.iter().any(|one| has_run(&one))) {
            Some(live) => Outcome::RolledBack { to: live.generation },
            None => Outcome::Unchanged,
        }
    }

    /// An instance that took requests has stopped by itself; it will be started again.
    pub(super) fn lost(&mut self, instance: &InstanceName) {
        if let Some(replicas) = self.serving.get_mut(&instance.generation.number()) {
            replicas.remove(&instance.replica);
        }
    }

    /// An instance of this generation is being started.
    fn expect(&mut self, generation: u32, at: SystemTime) {
        match self.under_way(Some(generation)) {
            Some(number) => self.rolling = Some(number),
            // Another replica of it, or the same one again.
            None if self.is_live(generation) => {}
            None => self.begin(self.inferred(generation, at)),
        }
    }

    fn admitted(&mut self, instance: &InstanceName, at: SystemTime) {
        let generation = instance.generation.number();
        self.serves(instance);
        let number = match self.under_way(Some(generation)).or(self.rolling_as(Some(generation))) {
            Some(number) => number,
            None if self.is_live(generation) || self.is_failed(generation) => return,
            None => match self.replaced(generation) {
                // It is called back: whoever replaced it has failed, or is not wanted any more.
                Some(number) => number,
                None => self.add(generation, Cause::Adopted, at, Timings::default(), Recipe::default()),
            },
        };
        self.update(number, |one| {
            let is_back = matches!(one.outcome, Outcome::Superseded { .. });
            (one.outcome, one.stopped) = (Outcome::Live, None);
            if one.cause != Cause::Adopted && !is_back {
                reach(one, Stage::Switched, at);
            }
        });
    }

    /// An instance takes no more requests, or is no more.
    fn left(&mut self, instance: &InstanceName, at: SystemTime) {
        let generation = instance.generation.number();
        self.lost(instance);
        if self.serving.get(&generation).is_some_and(|replicas| !replicas.is_empty()) {
            return;
        }
        self.serving.remove(&generation);
        let Some(number) = self.newest(generation) else { return };
        let mut others = self.deployments.iter().filter(|one| one.number != number);
        let over = others.rfind(|one| one.outcome == Outcome::Live).map_or(Outcome::Stopped, |one| {
            match one.cause {
                Cause::RolledBack { to } => Outcome::RolledBack { to },
                // It still ran, and was called back.
                _ if one.number < number => Outcome::RolledBack { to: one.generation },
                _ => Outcome::Superseded { by: one.generation },
            }
        });
        self.update(number, |one| {
            if one.was_live() {
                one.stopped.get_or_insert(at);
            }
            if one.outcome == Outcome::Live {
                one.outcome = over;
            }
        });
    }

    /// What is under way and is not this one has been overtaken by it. What had failed before and was only
    /// tried again has failed.
    fn supersede(&mut self, number: u64, by: u32) {
        let failed_before = self.failed_before.take_if(|(failed, _)| *failed != number);
        self.each(|one| {
            if one.number != number && one.outcome == Outcome::UnderWay {
                let before = failed_before.as_ref().filter(|(failed, _)| *failed == one.number);
                one.outcome = before.map_or(Outcome::Superseded { by }, |(_, outcome)| outcome.clone());
            }
        });
    }

    fn add(
        &mut self,
        generation: u32,
        cause: Cause,
        began: SystemTime,
        timings: Timings,
        recipe: Recipe,
    ) -> u64 {
        let number = self.deployments.last().map_or(1, |one| one.number + 1);
        self.deployments.push(Deployment {
            service: self.service.clone(),
            number,
            generation,
            cause,
            began,
            timings,
            outcome: Outcome::UnderWay,
            attempts: 1,
            stopped: None,
            recipe,
        });
        number
    }

    /// The beginning of a deployment that nobody has told of.
    fn inferred(&self, generation: u32, at: SystemTime) -> Beginning {
        let latest = self.deployments.last();
        let cause = match self.asked {
            Some(Wish::Restart) if self.is_there() => Cause::RestartAskedFor,
            None if latest.is_some_and(|one| matches!(one.outcome, Outcome::Failed { .. })) => {
                Cause::TriedAgain
            }
            _ if self.is_there() => Cause::Changed,
            _ => Cause::FirstStart,
        };
        let began = self.build.map_or(at, |build| build.since);
        let built = self.build.and_then(|build| build.done?.duration_since(began).ok());
        Beginning {
            service: self.service.clone(),
            generation,
            cause,
            began,
            timings: built.into_iter().map(|after| (Stage::Built, after)).collect(),
            recipe: Recipe::default(),
        }
    }

    /// Whether an earlier generation serves, as far as is known.
    fn is_there(&self) -> bool {
        !self.serving.is_empty() || self.deployments.iter().any(|one| one.outcome == Outcome::Live)
    }

    /// The generation that a build which failed would have become.
    fn next_generation(&self) -> u32 {
        let latest = self.deployments.last();
        let never_started = |one: &&Deployment| {
            matches!(one.outcome, Outcome::Failed { .. }) && one.timings.at(Stage::Started).is_none()
        };
        match latest.filter(never_started) {
            Some(one) => one.generation,
            None => self.deployments.iter().map(|one| one.generation).max().map_or(1, |last| last + 1),
        }
    }

    fn first(&mut self, instance: &InstanceName, stage: Stage, at: SystemTime) {
        let generation = Some(instance.generation.number());
        if let Some(number) = self.under_way(generation).or(self.rolling_as(generation)) {
            self.update(number, |one| {
                if one.timings.at(stage).is_none() {
                    reach(one, stage, at);
                }
            });
        }
    }

    fn under_way(&self, generation: Option<u32>) -> Option<u64> {
        let is_meant = |one: &&Deployment| generation.is_none_or(|generation| one.generation == generation);
        let mut under_way = self.deployments.iter().rev().filter(|one| one.outcome == Outcome::UnderWay);
        under_way.find(is_meant).map(|one| one.number)
    }

    /// The deployment that is being brought in, if it is of this generation and has not failed.
    fn rolling_as(&self, generation: Option<u32>) -> Option<u64> {
        let number = self.newest(generation?)?;
        (self.rolling == Some(number)).then_some(number)
    }

    fn newest(&self, generation: u32) -> Option<u64> {
        self.deployments.iter().rev().find(|one| one.generation == generation).map(|one| one.number)
    }

    fn is_live(&self, generation: u32) -> bool {
        self.deployments.iter().any(|one| one.generation == generation && one.outcome == Outcome::Live)
    }

    /// The deployment of this generation, if it has been live and another one took its place.
    fn replaced(&self, generation: u32) -> Option<u64> {
        let number = self.newest(generation)?;
        let one = self.deployments.iter().find(|one| one.number == number)?;
        (matches!(one.outcome, Outcome::Superseded { .. }) && one.was_live()).then_some(number)
    }

    fn is_failed(&self, generation: u32) -> bool {
        let latest = self.deployments.last().filter(|one| one.generation == generation);
        latest.is_some_and(|one| matches!(one.outcome, Outcome::Failed { .. }))
    }

    fn update(&mut self, number: u64, change: impl FnOnce(&mut Deployment)) {
        if let Some(one) = self.deployments.iter_mut().find(|one| one.number == number) {
            change(one);
            self.changed.insert(number);
        }
    }

    fn each(&mut self, change: impl Fn(&mut Deployment)) {
        for one in &mut self.deployments {
            let before = (one.outcome.clone(), one.stopped);
            change(one);
            if (&one.outcome, &one.stopped) != (&before.0, &before.1) {
                self.changed.insert(one.number);
            }
        }
    }
}

fn reach(deployment: &mut Deployment, stage: Stage, at: SystemTime) {
    // A clock that was set back in between makes stages that took no time.
    let after = at.duration_since(deployment.began).unwrap_or_default();
    deployment.timings.reach(stage, after);
}

fn bounded(failure: &Failure) -> Failure {
    let cut = |text: &String| text.chars().take(LONGEST_TEXT).collect::<String>();
    Failure {
        message: cut(&failure.message),
        hint: failure.hint.as_ref().map(cut),
        excerpt: failure.excerpt.iter().map(cut).collect(),
        log: failure.log.clone(),
        ..*failure
    }
}
