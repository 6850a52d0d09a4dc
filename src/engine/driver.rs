//! The loop: waits for whatever can happen, turns it into one [`Input`], lets [`State`] decide, and
//! obeys. Everything slow (looking, building, starting) happens in tasks that report back as inputs,
//! so that the loop itself never waits for an engine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot};
use tokio::task::{self, JoinError, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::decision::{Decision, Order, decided, let_go, msctl_failed, preview};
use super::deployments::{Circumstances, Deployments, Save};
use super::executor::{Executor, Ground, LastWords, Report};
use super::handle::{Command, EngineParts};
use super::input::{Effect, Input, RunId};
use super::observer::{self, Observer};
use super::ports::Wiring;
use super::rest::{Rest, Verdict};
use super::state::State;
use super::status;
use super::trouble::CRASH_LOOP;
use super::waiters::Waiters;
use crate::model::catalog::EndpointState;
use crate::model::event::{EventKind, Failure};
use crate::model::instance::InstanceName;
use crate::model::name::ServiceName;
use crate::model::observed::Observed;
use crate::model::outcome::Outcome;
use crate::model::status::{ServiceState, ServiceStatus};
use crate::plan::Plan;
use crate::runtime::RuntimeError;

/// How often a stop looks whether something has come up after all.
const STOP_ROUNDS: usize = 3;

/// How long a change that is under way may take before another process takes over.
const REST_LIMIT: Duration = Duration::from_secs(10);

/// How long the loop rests at most; whatever falls due with time is noticed then at the latest.
const LONGEST_REST: Duration = Duration::from_secs(10);

pub(super) struct Driver {
    state: State,
    observer: Arc<Observer>,
    executor: Arc<Executor>,
    wiring: Arc<dyn Wiring>,
    /// The look under way, if any. Like everything that runs, it is aborted when the platform stops.
    looking: Option<JoinHandle<Result<Decision, Failure>>>,
    runs: JoinSet<Report>,
    /// Which run a task of `runs` is, and how it is told to give up.
    known: BTreeMap<task::Id, (RunId, CancellationToken)>,
    /// Reads what instances printed before they ended.
    hearing: JoinSet<(InstanceName, LastWords)>,
    /// What the latest plan was made from.
    ground: Arc<Ground>,
    waiters: Waiters,
    busy_since: Instant,
    deployments: Deployments,
}

impl Driver {
    pub(super) fn new(parts: EngineParts, state: State) -> Self {
        let wiring = Arc::clone(&parts.wiring);
        let executor = Executor::from(parts);
        Self {
            state,
            observer: Arc::clone(&executor.observer),
            executor: Arc::new(executor),
            wiring,
            looking: None,
            runs: JoinSet::new(),
            known: BTreeMap::new(),
            hearing: JoinSet::new(),
            ground: Arc::default(),
            waiters: Waiters::default(),
            busy_since: Instant::now(),
            deployments: Deployments::default(),
        }
    }

    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let (tell, mut looks) = mpsc::channel(1);
        tokio::spawn(observer::watch(Arc::clone(&self.observer), tell));
        loop {
            let longest = Instant::now() + LONGEST_REST;
            let rest = self.state.next_retry().map_or(longest, |at| at.min(longest));
            // Every arm is a channel or a timer: dropping the wait for one of them loses nothing.
            let input = tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Change { input, done }) => {
                        self.waiters.add(State::asked_of(&input), done);
                        // A restart is of what exists, as far as anybody has seen.
                        self.state.learn(&self.observer.latest());
                        input
                    }
                    Some(Command::Saved(saves)) => self.saved(saves),
                    Some(Command::Edited(platform)) => Input::Edited(platform),
                    Some(Command::Status { reply }) => {
                        let _ = reply.send(self.status());
                        continue;
                    }
                    Some(Command::Plan { platform, only, reply }) => {
                        let (executor, state) = (Arc::clone(&self.executor), self.state.clone());
                        tokio::spawn(async move {
                            let _ = reply.send(preview(&executor, state, platform, only).await);
                        });
                        continue;
                    }
                    Some(Command::Stop { reply }) => {
                        let _ = reply.send(self.stop().await);
                        return;
                    }
                    Some(Command::Rest { reply }) => match self.rest(reply).await {
                        Verdict::Resume => Input::Resume,
                        Verdict::End => return,
                    },
                    None => return,
                },
                Some(look) = looks.recv() => self.look(look),
                decided = decided(&mut self.looking) => self.decided(decided),
                Some(ended) = self.runs.join_next_with_id() => match self.ended(ended) {
                    Some(input) => input,
                    None => continue,
                },
                Some(Ok((instance, words))) = self.hearing.join_next() => Input::Heard { instance, words },
                () = sleep_until(rest) => Input::Tick,
            };
            self.take(input);
        }
    }

    fn take(&mut self, input: Input) {
        let was_idle = !self.state.is_executing();
        for effect in self.state.step(input, Instant::now()) {
            self.obey(effect);
        }
        if was_idle && self.state.is_executing() {
            self.busy_since = Instant::now();
        }
        self.answer();
    }

    /// Tells those who wait for nothing that is still to be done.
    fn answer(&mut self) {
        let settled = self.waiters.settled(&self.state);
        if !settled.is_empty() {
            let outcome = self.outcome();
            for waiter in settled {
                waiter.tell(&outcome);
            }
        }
    }

    async fn rest(&mut self, reply: oneshot::Sender<Rest>) -> Verdict {
        let deadline = Instant::now() + REST_LIMIT;
        while self.looking.is_some() || !self.runs.is_empty() {
            match timeout_at(deadline, self.next_end()).await {
                Ok(input) => input.into_iter().for_each(|input| self.take(input)),
                Err(_) => self.abandon().await,
            }
        }
        let (rest, verdict) = Rest::new(self.state.wishes());
        // Somebody who does not wait any more has dropped the rest, which resumes.
        let _ = reply.send(rest);
        verdict.await.unwrap_or(Verdict::Resume)
    }

    /// The end of whatever is under way.
    async fn next_end(&mut self) -> Option<Input> {
        tokio::select! {
            // Neither loses anything when the other one is first.
            decided = decided(&mut self.looking) => Some(self.decided(decided)),
            Some(ended) = self.runs.join_next_with_id() => self.ended(ended),
        }
    }

    fn saved(&mut self, saves: BTreeMap<ServiceName, Save>) -> Input {
        let services = saves.keys().cloned().collect();
        // Where it is not known what was touched, or nothing of it has stayed, there is no cause to name.
        for (service, save) in saves.into_iter().filter(|(_, save)| !save.paths.is_empty()) {
            for path in &save.paths {
                self.executor.saved(&service, path, save.detected);
            }
            self.deployments.saved(service, save);
        }
        Input::Changed(services)
    }

    fn decided(&mut self, decided: Result<Decision, Failure>) -> Input {
        match decided {
            Ok(Decision { planned, ground }) => {
                // What was decided from is out of date otherwise, and will be looked at anew.
                if !self.state.is_stale() {
                    self.announce_all(|deployments, state| {
                        deployments.decided(&ground.plan, &state.at_work())
                    });
                }
                self.ground = Arc::new(ground);
                Input::Planned(planned)
            }
            Err(failure) => Input::Blind(failure),
        }
    }

    /// `None` for a run that was abandoned.
    fn ended(&mut self, ended: Result<(task::Id, Report), JoinError>) -> Option<Input> {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let (run, _) = self.known.remove(&id)?;
        let report = match ended {
            Ok((_, report)) => report,
            // A bug, which must not stop the loop.
            Err(error) => Report::of_all(self.state.services_of(run), &msctl_failed(&error)),
        };
        for service in report.at_their_end() {
            self.deployments.ended(service);
        }
        Some(Input::Executed { run, report })
    }

    /// Breaks everything off that is under way. What it has done is seen by the next look.
    async fn abandon(&mut self) {
        if let Some(looking) = self.looking.take() {
            looking.abort();
            // Only its end matters: aborted, panicked or done are all the same here.
            let _ = looking.await;
        }
        self.known.clear();
        self.runs.shutdown().await;
    }

    fn look(&self, look: Result<Arc<Observed>, RuntimeError>) -> Input {
        match look {
            // Not the look that woke us: an instance may have been started, seen and admitted since.
            // Whatever this catalog routes to was seen before, so a look read after it shows it.
            Ok(_) => {
                let catalog = self.executor.unwatched();
                Input::Observed { observed: self.observer.latest(), catalog }
            }
            Err(error) => Input::Unseen(error.into()),
        }
    }

    fn obey(&mut self, effect: Effect) {
        match effect {
            Effect::Reconcile => self.start_looking(),
            Effect::Execute { run, plan } => self.start_run(run, plan),
            Effect::GiveUp(run) => self.give_up(run),
            Effect::Recall(instance) => self.executor.call_back(&instance),
            Effect::Forget(instance) => self.executor.traffic.forget(&instance),
            Effect::Hear(instance) => drop(self.hearing.spawn(self.executor.hear(instance))),
            Effect::Announce(event) => self.executor.announcer.announce(event),
            Effect::Settled => self.announce_settled(),
        }
    }

    fn start_looking(&mut self) {
        let order = Order::from_state(&self.state, self.executor.watch_window);
        let (executor, wiring) = (Arc::clone(&self.executor), Arc::clone(&self.wiring));
        self.looking = Some(tokio::spawn(async move {
            match order {
                Some(order) => order.decide(&executor, wiring.as_ref()).await,
                // Nobody has asked for anything yet: nothing is done.
                None => Ok(Decision::default()),
            }
        }));
    }

    fn announce_all(&mut self, what: impl FnOnce(&mut Deployments, &State) -> Vec<EventKind>) {
        for event in what(&mut self.deployments, &self.state) {
            self.executor.announcer.announce(event);
        }
    }

    fn start_run(&mut self, run: RunId, plan: Plan) {
        let ground = Arc::clone(&self.ground);
        self.announce_all(|deployments, state| {
            let now = (SystemTime::now(), std::time::Instant::now());
            let pinned = state.pins.iter().map(|(service, pin)| (service.clone(), pin.to)).collect();
            let around = Circumstances { desired: &ground.desired, failing: state.failing(), pinned, now };
            deployments.begin(&plan, &ground.plan, &around)
        });
        let (executor, ground) = (Arc::clone(&self.executor), Arc::clone(&self.ground));
        let given_up = CancellationToken::new();
        let heard = given_up.clone();
        let task = self.runs.spawn(async move {
            let report = executor.execute(&plan, &ground, &heard).await;
            // What the steps changed is to be seen by whoever asks for the status next.
            if let Err(error) = executor.observer.refresh().await {
                tracing::warn!(%error, "could not look at the outcome");
            }
            report
        });
        self.known.insert(task.id(), (run, given_up));
    }

    fn give_up(&self, run: RunId) {
        for (_, given_up) in self.known.values().filter(|(known, _)| *known == run) {
            given_up.cancel();
        }
    }

    fn announce_settled(&self) {
        let outcome = self.outcome();
        self.executor.announcer.announce(EventKind::Settled {
            ready: outcome.ready,
            failed: outcome.failed.keys().cloned().collect(),
            took: self.busy_since.elapsed(),
        });
    }

    fn outcome(&self) -> Outcome {
        let catalog = self.executor.traffic.catalog();
        let serves = |service: &&ServiceName| {
            catalog
                .services
                .get(*service)
                .is_some_and(|all| all.iter().any(|e| e.state == EndpointState::Ready))
        };
        let services = self.state.platform.iter().flat_map(|platform| platform.services.keys());
        let failures = self.state.failures.iter().filter(|(_, trouble)| trouble.has_failed());
        Outcome {
            ready: services.filter(serves).map(ToString::to_string).collect(),
            failed: failures
                .map(|(service, trouble)| (service.to_string(), trouble.failure.clone()))
                .collect(),
            blind: self.state.blind.clone(),
        }
    }

    fn status(&self) -> Vec<ServiceStatus> {
        let Some(platform) = &self.state.platform else {
            return Vec::new();
        };
        let catalog = self.executor.traffic.catalog();
        let mut statuses = status::of(platform, &self.observer.latest(), Some(&catalog), &self.state.scale);
        for service in &mut statuses {
            if service.instances.is_empty() && !self.state.is_asked_for(&service.name) {
                service.state = ServiceState::Stopped;
            }
            let trouble = self.state.failures.iter().find(|(name, _)| name.as_str() == service.name);
            if let Some((_, trouble)) = trouble {
                status::add_trouble(service, trouble.count, CRASH_LOOP, &trouble.failure);
            }
        }
        statuses
    }

    /// Ends the reconcile under way, then plans and carries out the end of everything.
    async fn stop(&mut self) -> Report {
        self.executor.announcer.announce(EventKind::Stopping);
        self.abandon().await;
        for _ in 0..STOP_ROUNDS {
            match let_go(&self.executor, self.state.platform.as_deref()).await {
                Ok(report) if !report.failed.is_empty() => return report,
                Ok(_) => {}
                Err(failure) => return Report { unseen: Some(failure), ..Report::default() },
            }
            // A start that was given up may still have been on its way to the engine.
            match self.observer.refresh().await {
                Ok(observed) if observed.instances.is_empty() => return Report::default(),
                Ok(_) => {}
                Err(error) => return Report { unseen: Some(error.into()), ..Report::default() },
            }
        }
        let left = self.observer.latest();
        let failed = left.instances.iter().map(|instance| {
            let message = format!("{} is still there", instance.name);
            (instance.name.service.clone(), Failure { message, ..Failure::default() })
        });
        Report { failed: failed.collect(), ..Report::default() }
    }
}
