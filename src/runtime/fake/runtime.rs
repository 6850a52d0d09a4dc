//! The contract, kept in memory.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::sync::broadcast::error::RecvError;

use crate::model::instance::{InstanceName, InstanceSpec, Program};
use crate::model::name::PlatformId;
use crate::model::observed::{InstanceState, Observed, ObservedInstance, Resource, ResourceKind};
use crate::runtime::{
    CallerIdentity, Change, DataFate, ExecRequest, Images, LogLine, LogQuery, Runtime, RuntimeError,
    RuntimeKind, StopOutcome, Underlay,
};

use super::responder::{Persona, Responder};
use super::world::{FakeInstance, State, World};
use super::{Addresses, Fake};

/// Where made-up addresses count from; nothing is ever dialled there.
const FIRST_MADE_UP_PORT: u16 = 20_000;

#[async_trait]
impl Runtime for Fake {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Fake
    }

    fn description(&self) -> String {
        "a runtime in memory".to_owned()
    }

    async fn prepare(&self) -> Result<Underlay, RuntimeError> {
        self.world.act("prepare".to_owned())?.prepared.insert(self.platform.clone());
        let door = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Ok(Underlay { door, callers: CallerIdentity::PortPerCall })
    }

    async fn observe(&self) -> Result<Observed, RuntimeError> {
        let state = self.world.reach()?;
        let instances = state.instances.iter().filter(|((platform, _), _)| *platform == self.platform);
        let instances = instances.map(|((_, name), instance)| show(&state, name, instance)).collect();
        Ok(Observed { instances })
    }

    async fn resources(&self) -> Result<Vec<Resource>, RuntimeError> {
        Ok(resources(&*self.world.reach()?, &self.platform))
    }

    async fn launch(&self, spec: &InstanceSpec) -> Result<(), RuntimeError> {
        self.start(spec)?;
        self.world.announce(&self.platform, &spec.name.service);
        Ok(())
    }

    async fn stop(&self, name: &InstanceName, _: Duration) -> Result<StopOutcome, RuntimeError> {
        drop(self.world.act(format!("stop {name}"))?);
        // The sender is a field of the world that is borrowed here, so it is there.
        let _ = self.world.deaf.subscribe().wait_for(|deaf| !deaf.contains(&name.service)).await;
        let outcome = {
            let mut state = self.world.reach()?;
            match state.instances.get_mut(&self.key(name)) {
                Some(instance) if instance.state.is_running() => end_asked(instance),
                _ => return Ok(StopOutcome::Stopped),
            }
        };
        self.world.announce(&self.platform, &name.service);
        Ok(outcome)
    }

    async fn remove(&self, name: &InstanceName) -> Result<(), RuntimeError> {
        let removed = self.world.act(format!("remove {name}"))?.instances.remove(&self.key(name));
        if removed.is_some() {
            self.world.announce(&self.platform, &name.service);
        }
        Ok(())
    }

    async fn changes(&self) -> Result<BoxStream<'static, Change>, RuntimeError> {
        let receiver = self.world.reach()?.changes.as_ref().map(tokio::sync::broadcast::Sender::subscribe);
        let platform = self.platform.clone();
        let all = stream::unfold(receiver, |receiver| async {
            let mut receiver = receiver?;
            match receiver.recv().await {
                Ok(change) => Some((Some(change), Some(receiver))),
                Err(RecvError::Lagged(_)) => Some((None, Some(receiver))),
                Err(RecvError::Closed) => None,
            }
        });
        let ours = all.filter_map(move |change| {
            let change = match change {
                None => Some(Change { service: None }),
                Some((of, change)) => (of == platform).then_some(change),
            };
            std::future::ready(change)
        });
        Ok(ours.boxed())
    }

    async fn logs(
        &self,
        name: &InstanceName,
        query: &LogQuery,
    ) -> Result<BoxStream<'static, Result<LogLine, RuntimeError>>, RuntimeError> {
        let key = self.key(name);
        let state = self.world.reach()?;
        let instance = state.instances.get(&key).ok_or_else(|| RuntimeError::NoSuchInstance(name.clone()))?;
        let lines = select(&instance.log, query);
        let position = instance.log.len();
        let follower = Follower { world: Arc::clone(&self.world), key, position, waiting: lines };
        if !query.follow {
            return Ok(stream::iter(follower.waiting.into_iter().map(Ok)).boxed());
        }
        Ok(stream::unfold(follower, |mut follower| async {
            follower.next().await.map(|line| (Ok(line), follower))
        })
        .boxed())
    }

    /// Understands `… exit <code>`; every other command succeeds.
    async fn exec(&self, name: &InstanceName, request: &ExecRequest) -> Result<i32, RuntimeError> {
        let state = self.world.act(format!("exec {name}: {}", request.argv.join(" ")))?;
        let instance = state.instances.get(&self.key(name));
        let instance = instance.ok_or_else(|| RuntimeError::NoSuchInstance(name.clone()))?;
        if !instance.state.is_running() {
            return Err(RuntimeError::NotRunning(name.clone()));
        }
        match request.argv.as_slice() {
            [.., exit, code] if exit == "exit" => Ok(code.parse().unwrap_or(2)),
            _ => Ok(0),
        }
    }

    async fn tear_down(&self, data: DataFate) -> Result<Vec<Resource>, RuntimeError> {
        let mut state = self.world.act("tear-down".to_owned())?;
        let before = resources(&state, &self.platform);
        state.prepared.remove(&self.platform);
        if data == DataFate::Delete {
            state.storage.retain(|(platform, _)| *platform != self.platform);
        }
        let after = resources(&state, &self.platform);
        Ok(before.into_iter().filter(|resource| !after.contains(resource)).collect())
    }

    fn images(&self) -> Option<&dyn Images> {
        self.images.as_ref().map(|images| images as &dyn Images)
    }
}

impl Fake {
    fn key(&self, name: &InstanceName) -> (PlatformId, InstanceName) {
        (self.platform.clone(), name.clone())
    }

    fn start(&self, spec: &InstanceSpec) -> Result<(), RuntimeError> {
        let mut state = self.world.act(format!("launch {}", spec.name))?;
        if runs_already(&state, &self.key(&spec.name), spec)? {
            return Ok(());
        }
        let responder = match self.addresses {
            Addresses::MadeUp => None,
            Addresses::Real => Some(self.open_port(spec)?),
        };
        state.launched += 1;
        let made_up = SocketAddr::from(([127, 0, 0, 1], FIRST_MADE_UP_PORT + state.launched));
        let mut instance = FakeInstance {
            spec: spec.clone(),
            state: InstanceState::Running { since: SystemTime::now() },
            address: responder.as_ref().map_or(made_up, |responder| responder.address),
            handle: format!("fake-{}", state.launched),
            log: Vec::new(),
            responder,
        };
        run_first_moments(&mut instance, state.exits_after_launch.get(&spec.name.service).copied());
        if let Some(storage) = &spec.storage {
            state.storage.insert((self.platform.clone(), storage.service.clone()));
        }
        state.instances.insert(self.key(&spec.name), instance);
        Ok(())
    }

    fn open_port(&self, spec: &InstanceSpec) -> Result<Responder, RuntimeError> {
        let persona = |port: u16| {
            let mut environment = spec.environment.clone();
            environment.push(("PORT".to_owned(), port.to_string()));
            let world = Arc::downgrade(&self.world);
            Persona { service: spec.name.service.clone(), environment, world }
        };
        Responder::open(persona).map_err(|error| RuntimeError::Refused {
            what: "open a loopback port".to_owned(),
            reason: error.to_string(),
        })
    }
}

fn runs_already(
    state: &State,
    key: &(PlatformId, InstanceName),
    spec: &InstanceSpec,
) -> Result<bool, RuntimeError> {
    let name = &key.1;
    if let Some(reason) = state.launch_faults.get(&name.service) {
        return Err(RuntimeError::CannotRun { program: name.to_string(), reason: reason.clone() });
    }
    match state.instances.get(key).filter(|instance| instance.state.is_running()) {
        Some(running) if running.spec.hash != spec.hash => {
            let reason = "another version of it runs already".to_owned();
            Err(RuntimeError::Refused { what: format!("start {name}"), reason })
        }
        running => Ok(running.is_some()),
    }
}

fn run_first_moments(instance: &mut FakeInstance, scripted_exit: Option<i32>) {
    let number_in = |name| instance.variable(name).and_then(|text| text.parse::<i32>().ok());
    let lines = number_in("LOG_LINES").unwrap_or(0);
    let exit = scripted_exit.or_else(|| number_in("EXIT_CODE"));
    for number in 1..=lines {
        instance.print(format!("line {number} "));
    }
    match exit {
        Some(code) => instance.end(code),
        None => instance.print(format!("listening on {}", instance.address.port())),
    }
}

fn end_asked(instance: &mut FakeInstance) -> StopOutcome {
    if instance.variable("IGNORE_TERM") == Some("1") {
        instance.end(137);
        return StopOutcome::Killed;
    }
    instance.end(0);
    StopOutcome::Stopped
}

fn show(state: &State, name: &InstanceName, instance: &FakeInstance) -> ObservedInstance {
    let program = match &instance.spec.program {
        Program::Image { reference } => {
            Some(state.image(reference).map_or_else(|| reference.clone(), |image| image.id.0.clone()))
        }
        Program::Command { argv, .. } => argv.first().cloned(),
    };
    ObservedInstance {
        name: name.clone(),
        hash: instance.spec.hash.clone(),
        state: instance.state,
        address: instance.state.is_running().then_some(instance.address),
        handle: instance.handle.clone(),
        program,
    }
}

fn resources(state: &State, of: &PlatformId) -> Vec<Resource> {
    let networks = state.prepared.iter().filter(|platform| *platform == of);
    let networks =
        networks.map(|platform| Resource { kind: ResourceKind::Network, name: platform.to_string() });
    let volumes = state.storage.iter().filter(|(platform, _)| platform == of);
    let volumes = volumes.map(|(platform, service)| Resource {
        kind: ResourceKind::Volume,
        name: format!("{platform}-{service}"),
    });
    networks.chain(volumes).collect()
}

fn select(log: &[LogLine], query: &LogQuery) -> VecDeque<LogLine> {
    let recent = log.iter().filter(|line| query.since.is_none_or(|since| line.at >= Some(since)));
    let mut lines: VecDeque<LogLine> = recent.cloned().collect();
    while query.tail.is_some_and(|tail| lines.len() > tail) {
        lines.pop_front();
    }
    lines
}

struct Follower {
    world: Arc<World>,
    key: (PlatformId, InstanceName),
    /// How many lines of the log were taken.
    position: usize,
    waiting: VecDeque<LogLine>,
}

impl Follower {
    async fn next(&mut self) -> Option<LogLine> {
        let mut version = self.world.version.subscribe();
        loop {
            if let Some(line) = self.waiting.pop_front() {
                return Some(line);
            }
            let ended = self.take_new_lines();
            if !self.waiting.is_empty() {
                continue;
            }
            if ended || version.changed().await.is_err() {
                return None;
            }
        }
    }

    /// Whether the instance is over, so that no more will come.
    fn take_new_lines(&mut self) -> bool {
        let state = self.world.lock();
        let Some(instance) = state.instances.get(&self.key) else { return true };
        self.waiting.extend(instance.log.iter().skip(self.position).cloned());
        self.position = instance.log.len();
        !instance.state.is_running()
    }
}
