//! The handle by which the rest of the platform talks to the loop.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::deployments::Save;
use super::driver::Driver;
use super::executor::Report;
use super::input::{Input, Wishes};
use super::ports::{Announcer, Traffic, Wiring};
use super::rest::Rest;
use super::state::State;
use crate::model::desired::Pin;
use crate::model::event::Failure;
use crate::model::instance::Generation;
use crate::model::name::ServiceName;
use crate::model::outcome::Outcome;
use crate::model::platform::Platform;
use crate::model::status::ServiceStatus;
use crate::plan::Plan;
use crate::runtime::Runtime;

/// How many commands may wait for the loop. Each caller waits for its answer, so few ever do.
const COMMAND_QUEUE: usize = 64;

/// What an engine is made of.
pub struct EngineParts {
    pub runtime: Arc<dyn Runtime>,
    pub traffic: Arc<dyn Traffic>,
    pub wiring: Arc<dyn Wiring>,
    pub announcer: Arc<dyn Announcer>,
    /// Where the output of failed instances is kept.
    pub failure_logs: PathBuf,
    /// For how long there is a way back from a new instance.
    pub watch_window: Duration,
}

/// The handle by which the rest of the platform talks to the loop. When the last one is dropped,
/// the loop ends and leaves everything running.
#[derive(Clone)]
pub struct Engine {
    commands: mpsc::Sender<Command>,
}

/// The loop is gone: the platform is shutting down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the platform is stopping")]
pub struct Stopping;

/// A change that is on its way.
#[derive(Debug)]
pub struct Applied(oneshot::Receiver<Outcome>);

impl Applied {
    /// How it went, once it is done or has failed.
    ///
    /// # Errors
    /// [`Stopping`] when the loop has ended before.
    pub async fn outcome(self) -> Result<Outcome, Stopping> {
        self.0.await.map_err(|_| Stopping)
    }
}

pub(super) enum Command {
    /// Something that somebody waits for.
    Change {
        input: Input,
        done: oneshot::Sender<Outcome>,
    },
    /// Files were saved.
    Saved(BTreeMap<ServiceName, Save>),
    /// The manifest was.
    Edited(Arc<Platform>),
    Status {
        reply: oneshot::Sender<Vec<ServiceStatus>>,
    },
    Plan {
        platform: Arc<Platform>,
        only: Option<BTreeSet<ServiceName>>,
        reply: oneshot::Sender<Result<Plan, Failure>>,
    },
    Stop {
        reply: oneshot::Sender<Report>,
    },
    Rest {
        reply: oneshot::Sender<Rest>,
    },
}

impl Engine {
    /// `past` are the latest generations that there ever were.
    #[must_use]
    pub fn start(parts: EngineParts, past: BTreeMap<ServiceName, Generation>) -> Self {
        let (commands, receiver) = mpsc::channel(COMMAND_QUEUE);
        tokio::spawn(Driver::new(parts, State::after(past)).run(receiver));
        Self { commands }
    }

    /// Makes what runs follow `platform`; returns once that is done or has failed.
    ///
    /// # Errors
    /// [`Stopping`] when the loop has ended.
    pub async fn apply(
        &self,
        platform: Arc<Platform>,
        only: Option<BTreeSet<ServiceName>>,
    ) -> Result<Outcome, Stopping> {
        self.begin_to_apply(platform, only).await?.outcome().await
    }

    /// As [`Self::apply`], and returns once it is on its way.
    ///
    /// # Errors
    /// [`Stopping`] when the loop has ended.
    pub async fn begin_to_apply(
        &self,
        platform: Arc<Platform>,
        only: Option<BTreeSet<ServiceName>>,
    ) -> Result<Applied, Stopping> {
        let (done, outcome) = oneshot::channel();
        let input = Input::Apply { platform, only };
        self.commands.send(Command::Change { input, done }).await.map_err(|_| Stopping)?;
        Ok(Applied(outcome))
    }

    /// Services were saved: what differs by that is deployed. Returns at once.
    ///
    /// # Errors
    /// [`Stopping`] when the loop has ended.
    pub async fn saved(&self, saves: BTreeMap<ServiceName, Save>) -> Result<(), Stopping> {
        self.commands.send(Command::Saved(saves)).await.map_err(|_| Stopping)
    }

    /// The manifest was saved: of what was asked for, what differs by that is deployed. Returns at once.
    ///
    /// # Errors
    /// [`Stopping`] when the loop has ended.
    pub async fn edited(&self, platform: Arc<Platform>) -> Result<(), Stopping> {
        self.commands.send(Command::Edited(platform)).await.map_err(|_| Stopping)
    }

    /// # Errors
    /// [`Stopping`] when the loop has ended.
    pub async fn scale(&self, replicas: BTreeMap<ServiceName, u16>) -> Result<Outcome, Stopping> {
        self.change(Input::Scale { replicas }).await
    }

    /// Replaces the instances of these services by new ones, without a gap.
    ///
    /// # Errors
    /// [`Stopping`] when the loop has ended.
    pub async fn restart(&self, services: BTreeSet<ServiceName>) -> Result<Outcome, Stopping> {
        self.change(Input::Restart { services }).await
    }

    /// As [`Self::restart`], and by the sources as they are, whatever was rolled back.
    ///
    /// # Errors
    /// [`Stopping`] when the loop has ended.
    pub async fn redeploy(&self, services: BTreeSet<ServiceName>) -> Result<Outcome, Stopping> {
        self.change(Input::Redeploy { services }).await
    }

    /// Runs what an earlier generation ran, until the sources of the service are others.
    ///
    /// # Errors
    /// [`Stopping`] when the loop has ended.
    pub async fn roll_back(&self, service: ServiceName, pin: Pin) -> Result<Outcome, Stopping> {
        self.change(Input::RollBack { service, pin }).await
    }

    /// # Errors
    /// [`Stopping`] when the loop has ended.
    pub async fn status(&self) -> Result<Vec<ServiceStatus>, Stopping> {
        self.ask(|reply| Command::Status { reply }).await
    }

    /// What applying `platform` would do now.
    ///
    /// # Errors
    /// [`Stopping`] when the loop has ended; a [`Failure`] when the runtime cannot be looked at.
    pub async fn plan(
        &self,
        platform: Arc<Platform>,
        only: Option<BTreeSet<ServiceName>>,
    ) -> Result<Result<Plan, Failure>, Stopping> {
        self.ask(|reply| Command::Plan { platform, only, reply }).await
    }

    /// Goes on where another process has stopped; returns as [`Self::apply`] does.
    ///
    /// # Errors
    /// [`Stopping`] when the loop has ended.
    pub async fn succeed(&self, platform: Arc<Platform>, wishes: Wishes) -> Result<Outcome, Stopping> {
        self.change(Input::Succeed { platform, wishes }).await
    }

    /// Does nothing from then on until it is known whether another process takes over. What is under
    /// way may finish first, if that does not take long.
    ///
    /// # Errors
    /// [`Stopping`] when the loop has ended.
    pub async fn rest(&self) -> Result<Rest, Stopping> {
        self.ask(|reply| Command::Rest { reply }).await
    }

    /// Abandons whatever is going on, lets go of every instance, and ends the loop.
    ///
    /// # Errors
    /// [`Stopping`] when somebody else has asked for that already.
    pub async fn stop(&self) -> Result<Report, Stopping> {
        self.ask(|reply| Command::Stop { reply }).await
    }

    async fn change(&self, input: Input) -> Result<Outcome, Stopping> {
        self.ask(|done| Command::Change { input, done }).await
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Stopping> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| Stopping)?;
        answer.await.map_err(|_| Stopping)
    }
}
