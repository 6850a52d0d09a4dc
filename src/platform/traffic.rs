//! The engine's hand on the traffic: registry and gateway moved together.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::engine::ports;
use crate::gateway::{DrainOutcome, RouteTable, Site, Upstreams};
use crate::handover::Predecessor;
use crate::model::catalog::Catalog;
use crate::model::instance::InstanceName;
use crate::model::platform::Platform;
use crate::registry::Registry;

/// Owns the registry and publishes the route table that follows from it and from the manifest.
pub struct Traffic {
    registry: Registry,
    upstreams: Upstreams,
    tables: watch::Sender<Arc<RouteTable>>,
    /// Held while a table is made and published, so that tables come out in the order of changes.
    platform: Mutex<Arc<Platform>>,
    /// The process before this one, which may have requests under way at the same instances.
    predecessor: OnceLock<Predecessor>,
}

impl Traffic {
    #[must_use]
    pub fn new(platform: Arc<Platform>) -> Self {
        let (registry, upstreams) = (Registry::default(), Upstreams::default());
        let table = RouteTable::build(&Site::of(&platform), &registry.catalog(), &upstreams);
        Self {
            registry,
            upstreams,
            tables: watch::Sender::new(Arc::new(table)),
            platform: Mutex::new(platform),
            predecessor: OnceLock::new(),
        }
    }

    /// From now on an instance is drained when `predecessor`, too, has finished its requests there.
    pub fn comes_after(&self, predecessor: Predecessor) {
        // There is one takeover in the life of a process.
        let _ = self.predecessor.set(predecessor);
    }

    /// Completes at once where there was none.
    pub async fn predecessor_gone(&self) {
        if let Some(predecessor) = self.predecessor.get() {
            predecessor.gone().await;
        }
    }

    /// Has it cut what it still serves.
    pub async fn dismiss_predecessor(&self, limit: Duration) {
        if let Some(predecessor) = self.predecessor.get() {
            predecessor.dismiss(limit).await;
        }
    }

    #[must_use]
    pub fn tables(&self) -> watch::Receiver<Arc<RouteTable>> {
        self.tables.subscribe()
    }

    #[must_use]
    pub fn platform(&self) -> Arc<Platform> {
        Arc::clone(&self.platform.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Routes by another manifest from now on.
    pub fn follow(&self, platform: Arc<Platform>) {
        self.publish(|current| *current = platform);
    }

    /// Changes something, then publishes the table that follows from it.
    fn publish(&self, change: impl FnOnce(&mut Arc<Platform>)) {
        let mut platform = self.platform.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut platform);
        let table = RouteTable::build(&Site::of(&platform), &self.registry.catalog(), &self.upstreams);
        self.tables.send_replace(Arc::new(table));
    }
}

#[async_trait]
impl ports::Traffic for Traffic {
    fn introduce(&self, instance: &InstanceName, address: SocketAddr) {
        self.publish(|_| self.registry.introduce(instance, address));
    }

    fn admit(&self, instance: &InstanceName) {
        self.publish(|_| self.registry.admit(instance));
    }

    fn withdraw(&self, instance: &InstanceName) {
        self.publish(|_| self.registry.withdraw(instance));
    }

    async fn drain(&self, instance: &InstanceName, limit: Duration) -> usize {
        // What the process before cuts off is not known here, and neither is where.
        let (drained, _) = tokio::join!(
            self.upstreams.drain(instance, limit),
            tokio::time::timeout(limit, self.predecessor_gone())
        );
        match drained {
            DrainOutcome::Idle => 0,
            DrainOutcome::CutOff(requests) => requests,
        }
    }

    fn forget(&self, instance: &InstanceName) {
        self.publish(|_| self.registry.forget(instance));
        self.upstreams.forget(instance);
    }

    fn catalog(&self) -> Arc<Catalog> {
        self.registry.catalog()
    }
}

/// Traffic where there is none: nothing is routed, so nothing has to be drained.
#[derive(Debug, Default)]
pub struct NoTraffic;

#[async_trait]
impl ports::Traffic for NoTraffic {
    fn introduce(&self, _: &InstanceName, _: SocketAddr) {}
    fn admit(&self, _: &InstanceName) {}
    fn withdraw(&self, _: &InstanceName) {}
    async fn drain(&self, _: &InstanceName, _: Duration) -> usize {
        0
    }
    fn forget(&self, _: &InstanceName) {}
    fn catalog(&self) -> Arc<Catalog> {
        Arc::default()
    }
}
