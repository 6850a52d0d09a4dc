//! Walks a plan: every step as soon as those it waits for have succeeded, many at once. Decides
//! nothing; what a step means is written in the plan, and what a failure means in [`super::state`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use self::last_words::Unread;
use self::watch::Watched;
use super::arrivals::Arrivals;
use super::decision::msctl_failed;
use super::desire;
use super::handle::EngineParts;
use super::observer::{Observer, find};
use super::ports::{Announcer, Traffic, Wiring};
use super::probe;
use super::workshop::{Piece, Workshop};
use crate::build::Builder;
use crate::model::desired::{Desired, DesiredService};
use crate::model::event::{EventKind, Failure, StepKind};
use crate::model::instance::InstanceName;
use crate::model::name::ServiceName;
use crate::model::observed::InstanceState;
use crate::model::outcome::Outcome;
use crate::model::path::Shown;
use crate::model::platform::{Platform, ServiceSpec};
use crate::plan::{Action, Cause, Plan, Step, StepId};
use crate::runtime::{Runtime, RuntimeError, StopOutcome};

mod last_words;
mod watch;

pub use last_words::LastWords;

/// The exit code of whoever ends by SIGKILL.
const KILLED: i32 = 137;

pub struct Executor {
    pub runtime: Arc<dyn Runtime>,
    pub observer: Arc<Observer>,
    pub traffic: Arc<dyn Traffic>,
    pub wiring: Arc<dyn Wiring>,
    pub announcer: Arc<dyn Announcer>,
    /// Where the whole output of failed instances goes.
    pub failure_logs: PathBuf,
    pub watch_window: Duration,
    /// Shared by all plans.
    workshop: Workshop,
    watched: Watched,
    unread: Unread,
}

impl From<EngineParts> for Executor {
    fn from(parts: EngineParts) -> Self {
        let EngineParts { runtime, traffic, wiring, announcer, failure_logs, watch_window } = parts;
        let observer = Arc::new(Observer::new(Arc::clone(&runtime)));
        Self {
            runtime,
            observer,
            traffic,
            wiring,
            announcer,
            failure_logs,
            watch_window,
            workshop: Workshop::default(),
            watched: Watched::default(),
            unread: Unread::default(),
        }
    }
}

/// How a plan went.
#[derive(Debug, Default)]
pub struct Report {
    /// Services of which a step failed, or could not be begun, with the first reason.
    pub failed: BTreeMap<ServiceName, Failure>,
    /// Services all of whose steps succeeded.
    pub succeeded: BTreeSet<ServiceName>,
    /// Those of them that were only built: the next plan says what comes of it.
    pub built: BTreeSet<ServiceName>,
    /// Services of which a step was given up.
    pub given_up: BTreeSet<ServiceName>,
    /// Why the runtime could not even be looked at.
    pub unseen: Option<Failure>,
}

/// What a plan is carried out on.
#[derive(Default)]
pub struct Ground {
    /// The platform and its builder; `None` where nothing is started any more.
    pub platform: Option<(Arc<Platform>, Builder)>,
    pub desired: Desired,
    /// All that has to be done, of which builds come first.
    pub plan: Plan,
}

/// A plan on its way.
struct Walk<'a> {
    ground: &'a Ground,
    given_up: &'a CancellationToken,
    /// Cancelled for a service once it is going back to what ran before.
    turned_back: BTreeMap<&'a ServiceName, CancellationToken>,
}

/// Why a step did not come to its end.
enum Unfinished {
    Failed(Failure),
    GivenUp,
}

impl<'a> Walk<'a> {
    fn new(plan: &'a Plan, ground: &'a Ground, given_up: &'a CancellationToken) -> Self {
        let services = plan.services().into_iter();
        let turned_back = services.map(|service| (service, CancellationToken::new())).collect();
        Self { ground, given_up, turned_back }
    }

    fn is_turned_back(&self, service: &ServiceName) -> bool {
        self.turned_back.get(service).is_some_and(CancellationToken::is_cancelled)
    }

    /// Completes when what the service is under way to is not wanted to go on.
    async fn broken_off(&self, service: &ServiceName) {
        match self.turned_back.get(service) {
            Some(turned_back) => tokio::select! {
                () = turned_back.cancelled() => {}
                () = self.given_up.cancelled() => {}
            },
            None => self.given_up.cancelled().await,
        }
    }
}

impl Ground {
    /// The service that a step makes something of, with all that this takes.
    fn wanted(&self, service: &ServiceName) -> Result<(&Platform, &Builder, &DesiredService), Failure> {
        let wanted = self.platform.as_ref().zip(self.desired.services.get(service));
        // A plan starts only what is desired; the check keeps the executor total.
        wanted.map(|((platform, builder), service)| (&**platform, builder, service)).ok_or_else(|| Failure {
            message: format!("{service} is not among the wanted services"),
            ..Failure::default()
        })
    }
}

impl Executor {
    /// The builder for a platform as its manifest stands now.
    #[must_use]
    pub fn builder(&self, platform: &Platform) -> Builder {
        self.workshop.builder(platform, &self.runtime)
    }

    /// A file of a service was saved at this time.
    pub fn saved(&self, service: &ServiceName, path: &Path, at: Instant) {
        self.workshop.saved(service, path, at);
    }

    /// Carries out a plan to its end. Once `given_up` is cancelled, what nothing depends on yet is broken
    /// off. Dropping the future stops in mid-plan; planning again from what is then there converges.
    pub async fn execute(&self, plan: &Plan, ground: &Ground, given_up: &CancellationToken) -> Report {
        let mut waiting: Vec<&Step> = plan.steps.iter().collect();
        let mut done: BTreeSet<StepId> = BTreeSet::new();
        let mut stuck: BTreeMap<StepId, ServiceName> = BTreeMap::new();
        let mut report = Report::default();
        let walk = Walk::new(plan, ground, given_up);
        let mut running = FuturesUnordered::new();
        let mut arrivals = Arrivals::of(plan);
        loop {
            for step in std::mem::take(&mut waiting) {
                if walk.is_turned_back(&step.service) {
                    stuck.insert(step.id, step.service.clone());
                } else if let Some(culprit) = step.after.iter().find_map(|id| stuck.get(id)) {
                    report.hold_back(step, culprit, self.announcer.as_ref());
                    stuck.insert(step.id, step.service.clone());
                } else if step.after.iter().all(|id| done.contains(id)) {
                    let walk = &walk;
                    running.push(async move { (step, self.announced(step, walk).await) });
                } else {
                    waiting.push(step);
                }
            }
            match running.next().await {
                Some((step, Ok(()))) => {
                    done.insert(step.id);
                    arrivals.note(step).into_iter().for_each(|event| self.announcer.announce(event));
                }
                Some((step, Err(unfinished))) => {
                    stuck.insert(step.id, step.service.clone());
                    report.note(&step.service, unfinished);
                }
                None => break,
            }
        }
        let ended = |service: &&&ServiceName| {
            !report.failed.contains_key(**service) && !report.given_up.contains(**service)
        };
        report.succeeded = plan.services().iter().filter(ended).map(|service| (*service).clone()).collect();
        let built = plan.steps.iter().filter(|step| step.action == Action::Build).map(|step| &step.service);
        report.built = built.filter(|service| report.succeeded.contains(*service)).cloned().collect();
        report
    }

    async fn announced(&self, step: &Step, walk: &Walk<'_>) -> Result<(), Unfinished> {
        let (service, kind, subject) = (step.service.to_string(), step.action.kind(), step.subject());
        let begun = Instant::now();
        self.announcer.announce(EventKind::StepStarted {
            service: service.clone(),
            step: kind,
            subject: subject.clone(),
        });
        let performed = self.perform(step, walk);
        let outcome = match &step.action {
            // It has something to do when it is broken off.
            Action::Watch { .. } => performed.await,
            Action::Build if self.workshop.insists(&step.service) => performed.await,
            action if action.is_revocable() => tokio::select! {
                // What was done of it by then is seen by the next look.
                biased;
                () = walk.broken_off(&step.service) => Err(Unfinished::GivenUp),
                outcome = performed => outcome,
            },
            _ => performed.await,
        };
        self.announcer.announce(match &outcome {
            Ok(()) => EventKind::StepFinished { service, step: kind, subject, took: begun.elapsed() },
            Err(Unfinished::Failed(failure)) => {
                EventKind::StepFailed { service, step: kind, subject, failure: failure.clone() }
            }
            Err(Unfinished::GivenUp) => EventKind::StepGivenUp { service, step: kind, subject },
        });
        outcome
    }

    async fn perform(&self, step: &Step, walk: &Walk<'_>) -> Result<(), Unfinished> {
        let ground = walk.ground;
        match &step.action {
            Action::Build => {
                let (_, builder, service) = ground.wanted(&step.service)?;
                Ok(self.build(builder, service).await?)
            }
            Action::Start(instance) => {
                let (platform, _, service) = ground.wanted(&step.service)?;
                let spec = desire::instance_spec(platform, service, instance, self.wiring.as_ref());
                self.unread.is_read(instance).await;
                Ok(self.runtime.launch(&spec).await.map_err(Failure::from)?)
            }
            Action::AwaitReady(instance) => {
                let (_, _, service) = ground.wanted(&step.service)?;
                let awaited = self.await_ready(service, instance).await;
                awaited.map_err(|failure| {
                    // Whoever let it run may have asked it to stop, too. That it is not there any more says
                    // nothing about its version.
                    let has_left = step.cause == Cause::Adopted && !failure.timed_out;
                    if has_left { Unfinished::GivenUp } else { Unfinished::Failed(failure) }
                })
            }
            Action::Admit(instance) => {
                self.traffic.admit(instance);
                Ok(())
            }
            Action::Recall(instance) => {
                self.recall(instance);
                Ok(())
            }
            Action::Watch { instance, window, otherwise } => {
                self.watch(walk, instance, *window, otherwise).await
            }
            Action::Withdraw(instance) => {
                self.traffic.withdraw(instance);
                Ok(())
            }
            Action::Drain { instance, limit } => {
                let cut = self.traffic.drain(instance, *limit).await;
                if cut > 0 {
                    tracing::warn!(%instance, cut, "requests were cut off at the drain limit");
                }
                Ok(())
            }
            Action::Remove { instance, grace } => Ok(self.remove(instance, *grace).await?),
        }
    }

    async fn build(&self, builder: &Builder, service: &DesiredService) -> Result<(), Failure> {
        let name = service.spec.name.to_string();
        let output = |line: &str| {
            self.announcer.announce(EventKind::BuildOutput { service: name.clone(), line: line.to_owned() });
        };
        let Piece { made, own_writes } = self.workshop.make(builder, service, &output).await?;
        self.announcer.announce(EventKind::Built {
            service: name.clone(),
            built_in: made.built_in,
            shipped_in: made.shipped_in,
        });
        if !own_writes.is_empty() {
            self.announcer.announce(own_writes_noticed(name, &own_writes));
        }
        Ok(())
    }

    async fn await_ready(&self, service: &DesiredService, instance: &InstanceName) -> Result<(), Failure> {
        let outcome = self.readiness(service, instance).await;
        if let Err(failure) = outcome {
            let failure = self.with_output(failure, instance).await;
            self.traffic.forget(instance);
            // The instance is of no use; whether and when to try again is decided elsewhere.
            let grace = service.spec.run.stop_grace;
            if let Err(error) = self.remove(instance, grace).await {
                tracing::warn!(%instance, error = error.message, "could not remove what never got ready");
            }
            return Err(failure);
        }
        Ok(())
    }

    async fn readiness(&self, service: &DesiredService, instance: &InstanceName) -> Result<(), Failure> {
        let observed = self.observer.refresh().await?;
        let Some(address) = find(&observed, instance).and_then(|seen| seen.address) else {
            let state = find(&observed, instance).map(|seen| seen.state);
            return Err(stopped_before_ready(instance, state, service));
        };
        self.traffic.introduce(instance, address);
        tokio::select! {
            // Probing again from the start, or watching anew, loses nothing: both only read.
            probed = probe::await_ready(address, &service.spec.run.health) => probed.map_err(|not_ready| Failure {
                message: format!("{instance} is {not_ready}"),
                hint: Some("a slow start needs a longer health.start_period in service.toml".to_owned()),
                timed_out: true,
                ..Failure::default()
            }),
            state = self.observer.stopped(instance) => Err(stopped_before_ready(instance, state, service)),
        }
    }

    /// Goes on to its end when nobody waits for it any more: an instance that ignores its signal would be
    /// there for ever otherwise, told again and again by one plan after the other.
    async fn remove(&self, instance: &InstanceName, grace: Duration) -> Result<(), Failure> {
        let (runtime, traffic) = (Arc::clone(&self.runtime), Arc::clone(&self.traffic));
        let (announcer, instance) = (Arc::clone(&self.announcer), instance.clone());
        let unread = self.unread.clone();
        let removal = tokio::spawn(async move {
            unread.is_read(&instance).await;
            if runtime.stop(&instance, grace).await? == StopOutcome::Killed {
                announcer.announce(killed(&instance, grace));
            }
            runtime.remove(&instance).await?;
            traffic.forget(&instance);
            Ok::<(), RuntimeError>(())
        });
        Ok(removal.await.map_err(|error| msctl_failed(&error))??)
    }
}

/// Why a service is not started that calls one which failed.
pub(super) fn not_started(culprit: &ServiceName) -> Failure {
    Failure {
        message: format!("not started, because it calls {culprit}, which failed"),
        hint: Some(format!("mend {culprit} first")),
        ..Failure::default()
    }
}

/// A build that writes into its own sources would be a reason for the next one.
fn own_writes_noticed(service: String, paths: &BTreeSet<PathBuf>) -> EventKind {
    let paths: Vec<String> = paths.iter().map(|path| Shown(path).to_string()).collect();
    EventKind::Noticed {
        message: format!(
            "building {service} writes into its own sources: {}; that is left out",
            paths.join(", ")
        ),
        service: Some(service),
        hint: Some("list it in .gitignore".to_owned()),
    }
}

fn killed(instance: &InstanceName, grace: Duration) -> EventKind {
    let grace = humantime::format_duration(grace);
    EventKind::Noticed {
        service: Some(instance.service.to_string()),
        message: format!("{instance} did not end within {grace} of SIGTERM and was killed"),
        hint: Some("have it handle SIGTERM, or shorten run.stop_grace in service.toml".to_owned()),
    }
}

fn stopped_before_ready(
    instance: &InstanceName,
    state: Option<InstanceState>,
    service: &DesiredService,
) -> Failure {
    let how = how_it_ended(state, Some(&service.spec));
    Failure { message: format!("{instance} {how} before it was ready"), ..Failure::default() }
}

/// What an instance did, to be said after its name. A limit that it hit is named: it may be too low.
pub(super) fn how_it_ended(state: Option<InstanceState>, service: Option<&ServiceSpec>) -> String {
    match (state, service) {
        (None, _) => "was removed".to_owned(),
        (Some(InstanceState::Exited { out_of_memory: true, .. }), Some(service)) => {
            format!("ran out of memory (its limit is {})", service.run.limits.memory)
        }
        // An engine that was busy misses why: it says the same of what somebody has killed.
        (Some(InstanceState::Exited { code: Some(KILLED), .. }), Some(service)) => {
            let limit = service.run.limits.memory;
            format!("was killed, by somebody or for the memory that it took (its limit is {limit})")
        }
        (Some(state), _) => state.to_string(),
    }
}

impl From<Failure> for Unfinished {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Report> for Outcome {
    fn from(report: Report) -> Self {
        let failed = report.failed.into_iter().map(|(service, failure)| (service.to_string(), failure));
        Self { ready: Vec::new(), failed: failed.collect(), blind: report.unseen }
    }
}

impl Report {
    /// Nothing came of these services, for one reason.
    #[must_use]
    pub fn of_all(services: BTreeSet<ServiceName>, failure: &Failure) -> Self {
        let failed = services.into_iter().map(|service| (service, failure.clone()));
        Self { failed: failed.collect(), ..Self::default() }
    }

    /// The services with which this plan is done, well or not.
    pub fn at_their_end(&self) -> impl Iterator<Item = &ServiceName> {
        let succeeded = self.succeeded.iter().filter(|service| !self.built.contains(*service));
        succeeded.chain(self.failed.keys())
    }

    fn note(&mut self, service: &ServiceName, unfinished: Unfinished) {
        match unfinished {
            Unfinished::Failed(failure) => {
                self.failed.entry(service.clone()).or_insert(failure);
            }
            Unfinished::GivenUp => {
                self.given_up.insert(service.clone());
            }
        }
    }

    /// Notes that a step cannot be begun because of another one.
    fn hold_back(&mut self, step: &Step, culprit: &ServiceName, announcer: &dyn Announcer) {
        if *culprit == step.service || self.failed.contains_key(&step.service) {
            return;
        }
        if self.given_up.contains(culprit) {
            self.given_up.insert(step.service.clone());
            return;
        }
        let failure = not_started(culprit);
        announcer.announce(EventKind::StepFailed {
            service: step.service.to_string(),
            step: StepKind::Start,
            subject: step.subject(),
            failure: failure.clone(),
        });
        self.failed.insert(step.service.clone(), failure);
    }
}
