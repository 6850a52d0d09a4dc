//! What the engine needs from the rest of the platform, as narrow traits that `platform` implements.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::model::catalog::Catalog;
use crate::model::event::EventKind;
use crate::model::instance::InstanceName;
use crate::model::name::ServiceName;
use crate::model::platform::{Platform, ServiceSpec};

/// Where requests go. Implemented over the registry and the gateway.
#[async_trait]
pub trait Traffic: Send + Sync {
    /// Makes an instance known, so that its own calls are recognised, without sending it any.
    fn introduce(&self, instance: &InstanceName, address: SocketAddr);
    /// Sends requests to an instance from now on, also to one that was withdrawn or is draining.
    fn admit(&self, instance: &InstanceName);
    /// Sends no new requests to an instance.
    fn withdraw(&self, instance: &InstanceName);
    /// Waits until an instance has no request in flight, at most `limit`; says how many were cut.
    async fn drain(&self, instance: &InstanceName, limit: Duration) -> usize;
    /// Drops all knowledge of an instance.
    fn forget(&self, instance: &InstanceName);
    fn catalog(&self) -> Arc<Catalog>;
}

/// What a service is given to find its way: configuration, addresses, credentials.
#[async_trait]
pub trait Wiring: Send + Sync {
    /// Gets everything ready that [`Wiring::environment`] will speak of (ports for declared calls).
    ///
    /// # Errors
    /// A sentence that says what could not be made ready.
    async fn prepare(&self, platform: &Arc<Platform>) -> Result<(), String>;
    /// Variables that are part of what an instance is made from.
    fn environment(&self, platform: &Platform, service: &ServiceSpec) -> Vec<(String, String)>;
    /// Host names that lead to the internal door. Not part of a hash either: a service that comes
    /// into the platform is no reason to deploy the others anew.
    fn door_hosts(&self, platform: &Platform) -> Vec<String>;
    /// The service's own token. Not part of its hash: a new one is no new version.
    fn token(&self, service: &ServiceName) -> Option<String>;
}

/// Takes what happened. Never blocks.
pub trait Announcer: Send + Sync {
    fn announce(&self, event: EventKind);
}
