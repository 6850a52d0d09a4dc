//! Which instances exist right now, and which of them take requests.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::instance::InstanceName;
use super::name::ServiceName;

/// An immutable snapshot of the registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    /// Grows by one with each change.
    pub version: u64,
    /// Endpoints of each service, sorted by instance name.
    pub services: BTreeMap<ServiceName, Vec<Endpoint>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub instance: InstanceName,
    pub address: SocketAddr,
    pub state: EndpointState,
}

/// An endpoint's life. No probe makes one that is draining ready again, only whoever calls it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointState {
    /// Known, so that its own calls are recognised, but given no requests.
    Starting,
    Ready,
    Draining,
}

impl Catalog {
    /// All endpoints of all services.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.services.values().flatten()
    }
}
