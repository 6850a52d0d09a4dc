//! Looking and deciding: everything before anything is done.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::desire::{Wish, Wished, desire};
use super::executor::{Executor, Ground, Report, not_started};
use super::input::{Input, Planned};
use super::ports::Wiring;
use super::state::State;
use crate::build::Builder;
use crate::model::event::{EventKind, Failure};
use crate::model::name::ServiceName;
use crate::model::platform::Platform;
use crate::plan::{Leaving, Plan, Policy, held_back, plan, put_off};

/// What a look has led to, with the ground for carrying it out.
#[derive(Default)]
pub(super) struct Decision {
    pub planned: Planned,
    pub ground: Ground,
}

/// The end of the look under way; never, while there is none. Dropping the wait loses nothing: the task
/// goes on and keeps its result.
pub(super) async fn decided(
    looking: &mut Option<JoinHandle<Result<Decision, Failure>>>,
) -> Result<Decision, Failure> {
    let Some(task) = looking else { return std::future::pending().await };
    let ended = task.await;
    *looking = None;
    // Aborting takes the handle away first, so this is a panic: a bug, which must not stop the loop.
    ended.unwrap_or_else(|error| Err(msctl_failed(&error)))
}

pub(super) fn msctl_failed(error: &JoinError) -> Failure {
    Failure { message: format!("msctl itself failed: {error}"), ..Failure::default() }
}

/// Withdraws, drains, stops and removes every instance of the platform.
///
/// # Errors
/// When the runtime could not be looked at.
pub async fn let_go(executor: &Executor, platform: Option<&Platform>) -> Result<Report, Failure> {
    let observed = executor.observer.refresh().await?;
    let grace =
        platform.into_iter().flat_map(|platform| platform.services.values()).map(|s| s.run.stop_grace).max();
    let leaving = Leaving { grace: grace.unwrap_or(Leaving::default().grace), ..Leaving::default() };
    let policy = Policy { leaving, ..Policy::default() };
    let nothing = Ground::default();
    let plan = plan(&nothing.desired, &observed, &executor.traffic.catalog(), &policy);
    Ok(executor.execute(&plan, &nothing, &CancellationToken::new()).await)
}

/// What applying `platform` would do, decided as the loop would decide it and not done.
///
/// # Errors
/// When the runtime could not be looked at.
pub async fn preview(
    executor: &Executor,
    mut state: State,
    platform: Arc<Platform>,
    only: Option<BTreeSet<ServiceName>>,
) -> Result<Plan, Failure> {
    let _effects = state.step(Input::Apply { platform, only }, Instant::now());
    let Some(mut order) = Order::from_state(&state, executor.watch_window) else {
        return Ok(Plan::default());
    };
    let builder = executor.builder(&order.platform);
    Ok(order.plan(executor, &builder).await?.0)
}

/// All that one reconcile works from.
pub(super) struct Order {
    platform: Arc<Platform>,
    wished: Wished,
    policy: Policy,
}

impl Order {
    /// `None` as long as nobody has asked for anything.
    pub fn from_state(state: &State, window: Duration) -> Option<Self> {
        let policy = Policy {
            held: state.held(),
            busy: state.busy(),
            waiting: state.waiting(Instant::now()),
            last_generation: state.last_generation.clone(),
            restart_through: state.restart_through.clone(),
            edits: state.edits.clone(),
            leaving: Leaving::default(),
            window,
        };
        let wished =
            Wished { scale: state.scale.clone(), pins: state.pins.clone(), known: state.known.clone() };
        Some(Self { platform: state.platform.clone()?, wished, policy })
    }

    pub async fn decide(mut self, executor: &Executor, wiring: &dyn Wiring) -> Result<Decision, Failure> {
        if let Err(message) = wiring.prepare(&self.platform).await {
            let failure = Failure { message, ..Failure::default() };
            let failed = self.platform.services.keys().map(|service| (service.clone(), failure.clone()));
            let planned = Planned { failed: failed.collect(), ..Planned::default() };
            return Ok(Decision { planned, ground: Ground::default() });
        }
        let builder = executor.builder(&self.platform);
        let (plan, wish, mut put_off) = self.plan(executor, &builder).await?;
        executor.announcer.announce(EventKind::Planned {
            steps: plan.steps.len(),
            services: plan.services().into_iter().map(ToString::to_string).collect(),
        });
        let wanted = wish.desired.services.iter();
        let versions = wanted.map(|(name, service)| (name.clone(), service.hash.clone())).collect();
        // What is built may turn out to be what runs: what comes after is planned anew.
        let first = plan.clone().until_built();
        put_off.extend(plan.left_out_of(&first));
        let planned = Planned {
            plan: first,
            versions,
            edits: self.policy.edits,
            known: wish.known,
            failed: wish.failed,
            put_off,
        };
        let ground = Ground { platform: Some((self.platform, builder)), desired: wish.desired, plan };
        Ok(Decision { planned, ground })
    }

    /// Looks and decides, without doing anything; also tells the services that the plan leaves for later.
    async fn plan(
        &mut self,
        executor: &Executor,
        builder: &Builder,
    ) -> Result<(Plan, Wish, BTreeSet<ServiceName>), Failure> {
        let begun = Instant::now();
        let mut wish = desire(&self.platform, &self.wished, builder, executor.wiring.as_ref()).await;
        let wished = Instant::now();
        let observed = executor.observer.refresh().await?;
        let seen = Instant::now();
        let catalog = executor.traffic.catalog();
        let failed = wish.failed.keys().cloned().collect();
        for (service, culprit) in held_back(&wish.desired, &observed, &catalog, &self.policy, &failed) {
            // Whatever changes that is a reason to look again.
            wish.failed.insert(service, Failure { is_lasting: true, ..not_started(&culprit) });
        }
        self.policy.held.extend(wish.failed.keys().cloned());
        for instance in &observed.instances {
            let generation = instance.name.generation;
            let last = self.policy.last_generation.entry(instance.name.service.clone()).or_insert(generation);
            *last = (*last).max(generation);
        }
        let plan = plan(&wish.desired, &observed, &catalog, &self.policy);
        let [read, look, plan_took] =
            [wished - begun, seen - wished, seen.elapsed()].map(|part| part.as_micros());
        tracing::debug!(steps = plan.steps.len(), read, look, plan = plan_took, "decided, in microseconds");
        let later = put_off(&wish.desired, &catalog, &self.policy.busy);
        Ok((plan, wish, later))
    }
}
