//! A world of a few services in memory, in which plans can be carried out.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use crate::model::catalog::{Catalog, Endpoint, EndpointState};
use crate::model::desired::{Desired, DesiredService};
use crate::model::instance::{BuildDigest, InstanceName, Program, SpecHash};
use crate::model::name::ServiceName;
use crate::model::observed::{InstanceState, Observed, ObservedInstance};
pub use crate::model::testing::instance;
use crate::model::testing::{self, with_replicas};
use crate::plan::{Action, Plan, Policy, Step, plan};

#[derive(Debug, Clone, Default)]
pub struct World {
    pub desired: Desired,
    pub observed: Observed,
    pub catalog: Catalog,
    pub policy: Policy,
}

pub fn service(name: &str, hash: &str, replicas: u16, calls: &[&str]) -> DesiredService {
    let spec = with_replicas(testing::service(name, calls), replicas);
    DesiredService {
        spec,
        digest: BuildDigest(hash.into()),
        needs_build: false,
        program: Program::Image { reference: format!("x:{hash}") },
        environment: Vec::new(),
        hash: SpecHash(hash.into()),
        replicas,
        drain: Duration::from_secs(10),
    }
}

const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

impl World {
    pub fn wants(mut self, service: DesiredService) -> Self {
        self.desired.services.insert(service.spec.name.clone(), service);
        self
    }

    pub fn runs(self, name: &str, hash: &str) -> Self {
        self.sees(name, hash, InstanceState::Running { since: SystemTime::UNIX_EPOCH })
    }

    pub fn sees(mut self, name: &str, hash: &str, state: InstanceState) -> Self {
        let name = instance(name);
        self.observed.instances.retain(|seen| seen.name != name);
        let handle = name.to_string();
        let seen = ObservedInstance {
            name,
            hash: SpecHash(hash.into()),
            state,
            address: Some(ANYWHERE),
            handle,
            program: None,
        };
        self.observed.instances.push(seen);
        self.observed.instances.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }

    pub fn serves(mut self, name: &str) -> Self {
        let instance = instance(name);
        self.forget(&instance);
        let endpoints = self.catalog.services.entry(instance.service.clone()).or_default();
        endpoints.push(Endpoint { instance, address: ANYWHERE, state: EndpointState::Ready });
        self
    }

    pub fn plan(&self) -> Plan {
        plan(&self.desired, &self.observed, &self.catalog, &self.policy)
    }

    /// Does what a step says, as a runtime and a registry would.
    pub fn apply(&mut self, step: &Step) {
        match &step.action {
            Action::Build => {
                if let Some(service) = self.desired.services.get_mut(&step.service) {
                    service.needs_build = false;
                }
            }
            Action::Start(name) => {
                let hash = self.desired.services[&step.service].hash.0.clone();
                *self = std::mem::take(self).runs(&name.to_string(), &hash);
            }
            Action::AwaitReady(_) | Action::Drain { .. } | Action::Watch { .. } => {}
            Action::Admit(name) | Action::Recall(name) => {
                *self = std::mem::take(self).serves(&name.to_string())
            }
            Action::Withdraw(name) => {
                let is_known = self.catalog.endpoints().any(|endpoint| endpoint.instance == *name);
                assert!(is_known, "{name} was not admitted before");
                self.withdraw(name);
            }
            Action::Remove { instance, .. } => self.remove(instance),
        }
    }

    /// An instance stops by itself, which is noticed.
    pub fn stops(mut self, name: &str) -> Self {
        self.forget(&instance(name));
        let hash = self.observed.instances.iter().find(|seen| seen.name == instance(name));
        let hash = hash.expect("it was there").hash.0.clone();
        self.sees(name, &hash, InstanceState::Exited { code: Some(1), out_of_memory: false })
    }

    /// An instance takes no new requests.
    pub fn drains(mut self, name: &str) -> Self {
        self = self.serves(name);
        self.withdraw(&instance(name));
        self
    }

    pub fn withdraw(&mut self, name: &InstanceName) {
        let endpoints = self.catalog.services.values_mut().flatten();
        let of_it = endpoints.filter(|endpoint| endpoint.instance == *name);
        of_it.for_each(|endpoint| endpoint.state = EndpointState::Draining);
    }

    pub fn remove(&mut self, name: &InstanceName) {
        self.observed.instances.retain(|seen| seen.name != *name);
        self.forget(name);
    }

    pub fn is_running(&self, name: &InstanceName) -> bool {
        self.observed.instances.iter().any(|seen| seen.name == *name && seen.state.is_running())
    }

    pub fn forget(&mut self, name: &InstanceName) {
        for endpoints in self.catalog.services.values_mut() {
            endpoints.retain(|endpoint| endpoint.instance != *name);
        }
    }

    pub fn serving(&self, service: &ServiceName) -> usize {
        let endpoints = self.catalog.services.get(service).into_iter().flatten();
        endpoints.filter(|endpoint| endpoint.state == EndpointState::Ready).count()
    }
}

pub fn check(world: &World, expected: &str) {
    let text = world.plan().to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    assert_eq!(lines.join("\n"), expected.trim_end());
}
