//! What exists in memory, and what happens to it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::{broadcast, watch};

use crate::model::instance::{InstanceName, InstanceSpec};
use crate::model::name::{PlatformId, ServiceName};
use crate::model::observed::InstanceState;
use crate::runtime::{Change, LogLine, LogStream, RuntimeError};

use super::images::FakeImage;
use super::responder::Responder;

/// Enough for any test; a subscriber that falls behind is told to look again, as always.
const PENDING_CHANGES: usize = 64;

pub struct World {
    state: Mutex<State>,
    /// Counts every change, for those who wait for one.
    pub version: watch::Sender<u64>,
    /// Services that do not hear that they should end.
    pub deaf: watch::Sender<BTreeSet<ServiceName>>,
}

pub struct State {
    pub instances: BTreeMap<(PlatformId, InstanceName), FakeInstance>,
    pub prepared: BTreeSet<PlatformId>,
    pub storage: BTreeSet<(PlatformId, ServiceName)>,
    pub images: BTreeMap<String, FakeImage>,
    /// How many times an image was given a name: their clock.
    pub named: u64,
    pub refuses_parts: bool,
    pub registry: BTreeSet<String>,
    pub launch_faults: BTreeMap<ServiceName, String>,
    pub exits_after_launch: BTreeMap<ServiceName, i32>,
    pub health: BTreeMap<ServiceName, u16>,
    pub calls: Vec<String>,
    pub launched: u16,
    /// `None` while the engine is gone.
    pub changes: Option<broadcast::Sender<(PlatformId, Change)>>,
}

pub struct FakeInstance {
    pub spec: InstanceSpec,
    pub state: InstanceState,
    pub address: SocketAddr,
    pub handle: String,
    pub log: Vec<LogLine>,
    /// Its open port; dropping it closes it.
    pub responder: Option<Responder>,
}

impl FakeInstance {
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.spec.environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn print(&mut self, text: String) {
        self.log.push(LogLine { at: Some(SystemTime::now()), stream: LogStream::Stdout, text });
    }

    pub fn end(&mut self, code: i32) {
        self.state = InstanceState::Exited { code: Some(code), out_of_memory: false };
        self.responder = None;
    }
}

impl World {
    pub fn new() -> Self {
        let state = State {
            instances: BTreeMap::new(),
            prepared: BTreeSet::new(),
            storage: BTreeSet::new(),
            images: BTreeMap::new(),
            named: 0,
            refuses_parts: false,
            registry: BTreeSet::new(),
            launch_faults: BTreeMap::new(),
            exits_after_launch: BTreeMap::new(),
            health: BTreeMap::new(),
            calls: Vec::new(),
            launched: 0,
            changes: Some(broadcast::Sender::new(PENDING_CHANGES)),
        };
        Self {
            state: Mutex::new(state),
            version: watch::Sender::new(0),
            deaf: watch::Sender::new(BTreeSet::new()),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, if the engine answers.
    pub fn reach(&self) -> Result<MutexGuard<'_, State>, RuntimeError> {
        let state = self.lock();
        if state.changes.is_none() {
            return Err(RuntimeError::Unreachable {
                engine: "fake",
                address: "memory".to_owned(),
                reason: "it was told to crash".to_owned(),
            });
        }
        Ok(state)
    }

    /// As [`World::reach`], and records what is done.
    pub fn act(&self, call: String) -> Result<MutexGuard<'_, State>, RuntimeError> {
        let mut state = self.reach()?;
        state.calls.push(call);
        Ok(state)
    }

    pub fn announce(&self, platform: &PlatformId, service: &ServiceName) {
        let change = Change { service: Some(service.clone()) };
        if let Some(changes) = &self.lock().changes {
            // Nobody listening is no fault: whoever subscribes later looks first.
            let _ = changes.send((platform.clone(), change));
        }
        self.version.send_modify(|version| *version += 1);
    }

    pub fn exit(&self, platform: &PlatformId, name: &InstanceName, code: i32) {
        self.change(platform, name, |instance| instance.end(code));
    }

    pub fn close_port(&self, platform: &PlatformId, name: &InstanceName) {
        self.change(platform, name, |instance| instance.responder = None);
    }

    pub fn write_log(&self, platform: &PlatformId, name: &InstanceName, line: &str) {
        self.change(platform, name, |instance| instance.print(line.to_owned()));
    }

    fn change(&self, platform: &PlatformId, name: &InstanceName, apply: impl FnOnce(&mut FakeInstance)) {
        let key = (platform.clone(), name.clone());
        if let Some(instance) = self.lock().instances.get_mut(&key) {
            apply(instance);
        }
        self.announce(platform, &name.service);
    }

    pub fn crash(&self, gone: bool) {
        self.lock().changes = (!gone).then(|| broadcast::Sender::new(PENDING_CHANGES));
        self.version.send_modify(|version| *version += 1);
    }
}
