//! The engine's ports, in memory.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::engine::ports::{Announcer, Traffic, Wiring};
use crate::model::catalog::{Catalog, Endpoint, EndpointState};
use crate::model::event::EventKind;
use crate::model::instance::InstanceName;
use crate::model::name::ServiceName;
use crate::model::platform::{Platform, ServiceSpec};

/// A catalog that nothing is routed by. Remembers how few instances ever served a service, once
/// one had.
#[derive(Default)]
pub struct Routes {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    catalog: Catalog,
    fewest: BTreeMap<ServiceName, usize>,
}

impl Routes {
    /// What takes requests: `order.v1.1 product.v1.1`.
    pub fn serving(&self) -> String {
        let inner = self.inner.lock().unwrap();
        let ready = inner.catalog.endpoints().filter(|endpoint| endpoint.state == EndpointState::Ready);
        ready.map(|endpoint| endpoint.instance.to_string()).collect::<Vec<_>>().join(" ")
    }

    /// The fewest instances that took requests for a service since its first one did.
    pub fn fewest(&self, service: &ServiceName) -> usize {
        self.inner.lock().unwrap().fewest[service]
    }

    /// Counts the fewest from now on.
    pub fn count_anew(&self) {
        self.inner.lock().unwrap().fewest.clear();
    }

    fn change(&self, instance: &InstanceName, change: impl FnOnce(&mut Vec<Endpoint>)) {
        let mut inner = self.inner.lock().unwrap();
        let endpoints = inner.catalog.services.entry(instance.service.clone()).or_default();
        change(endpoints);
        let ready = endpoints.iter().filter(|endpoint| endpoint.state == EndpointState::Ready).count();
        let is_first = ready == 0 && !inner.fewest.contains_key(&instance.service);
        if !is_first {
            let fewest = inner.fewest.entry(instance.service.clone()).or_insert(ready);
            *fewest = (*fewest).min(ready);
        }
    }

    fn set(&self, instance: &InstanceName, state: EndpointState) {
        self.change(instance, |endpoints| {
            let known = endpoints.iter_mut().find(|endpoint| endpoint.instance == *instance);
            known.expect("an instance is introduced before anything else").state = state;
        });
    }
}

#[async_trait]
impl Traffic for Routes {
    fn introduce(&self, instance: &InstanceName, address: SocketAddr) {
        self.change(instance, |endpoints| {
            endpoints.retain(|endpoint| endpoint.instance != *instance);
            let state = EndpointState::Starting;
            endpoints.push(Endpoint { instance: instance.clone(), address, state });
            endpoints.sort_by(|a, b| a.instance.cmp(&b.instance));
        });
    }

    fn admit(&self, instance: &InstanceName) {
        self.set(instance, EndpointState::Ready);
    }

    fn withdraw(&self, instance: &InstanceName) {
        self.set(instance, EndpointState::Draining);
    }

    async fn drain(&self, _: &InstanceName, _: Duration) -> usize {
        0
    }

    fn forget(&self, instance: &InstanceName) {
        self.change(instance, |endpoints| endpoints.retain(|endpoint| endpoint.instance != *instance));
    }

    fn catalog(&self) -> Arc<Catalog> {
        Arc::new(self.inner.lock().unwrap().catalog.clone())
    }
}

/// Tells every service its name, prints a few lines at its start, and has a token.
pub struct Signposts;

#[async_trait]
impl Wiring for Signposts {
    async fn prepare(&self, _: &Arc<Platform>) -> Result<(), String> {
        Ok(())
    }

    fn environment(&self, _: &Platform, service: &ServiceSpec) -> Vec<(String, String)> {
        vec![("SERVICE_NAME".to_owned(), service.name.to_string()), ("LOG_LINES".to_owned(), "30".to_owned())]
    }

    fn door_hosts(&self, _: &Platform) -> Vec<String> {
        Vec::new()
    }

    fn token(&self, _: &ServiceName) -> Option<String> {
        Some("a token".to_owned())
    }
}

/// Keeps everything that was announced.
#[derive(Default)]
pub struct Journal {
    events: watch::Sender<Vec<EventKind>>,
}

impl Journal {
    pub fn events(&self) -> Vec<EventKind> {
        self.events.borrow().clone()
    }

    pub fn forget(&self) {
        self.events.send_replace(Vec::new());
    }

    /// Waits until something in the journal is what is looked for, and gives it.
    pub async fn wait<T>(&self, mut find: impl FnMut(&EventKind) -> Option<T>) -> T {
        let mut receiver = self.events.subscribe();
        let found = async {
            loop {
                let found = receiver.borrow_and_update().iter().find_map(&mut find);
                if let Some(found) = found {
                    return found;
                }
                receiver.changed().await.unwrap();
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(20), found).await;
        found.unwrap_or_else(|_| panic!("it never happened; what did: {:#?}", self.events()))
    }

    /// What was begun (`+`), done (`=`), given up (`~`) and failed (`!`), in order: `+admit order.v1.1`.
    pub fn steps(&self) -> Vec<String> {
        let step = |event: &EventKind| match event {
            EventKind::StepStarted { step, subject, .. } => Some(format!("+{step} {subject}")),
            EventKind::StepFinished { step, subject, .. } => Some(format!("={step} {subject}")),
            EventKind::StepFailed { step, subject, .. } => Some(format!("!{step} {subject}")),
            EventKind::StepGivenUp { step, subject, .. } => Some(format!("~{step} {subject}")),
            _ => None,
        };
        self.events.borrow().iter().filter_map(step).collect()
    }

    /// Why each deployment began, in order.
    pub fn causes(&self) -> Vec<String> {
        let cause = |event: &EventKind| match event {
            EventKind::DeploymentBegun(beginning) => Some(beginning.cause.to_string()),
            _ => None,
        };
        self.events.borrow().iter().filter_map(cause).collect()
    }

    /// Asserts that each of these steps comes after the one before it.
    pub fn assert_order(&self, expected: &[&str]) {
        let steps = self.steps();
        let position = |step: &&str| steps.iter().position(|found| found == step);
        let positions: Vec<Option<usize>> = expected.iter().map(position).collect();
        assert!(positions.iter().all(Option::is_some) && positions.is_sorted(), "{expected:?} in {steps:#?}");
    }
}

impl Announcer for Journal {
    fn announce(&self, event: EventKind) {
        self.events.send_modify(|events| events.push(event));
    }
}
