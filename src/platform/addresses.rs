//! Which URL leads to whom, from inside an instance. Pure.
//!
//! Ports are preferred by rule rather than drawn: an instance keeps its addresses in its
//! environment, so the same platform has to come back with the same ones, or everything would be
//! deployed anew after a restart of msctl.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::configuration::Addresses;
use crate::model::instance::STORAGE_MOUNT;
use crate::model::name::{PlatformId, ServiceName};
use crate::model::platform::{Database, Platform, ServiceSpec};
use crate::runtime::{CallerIdentity, process};

/// The port of the internal door at the network's own address, where nobody else is expected.
const NAMED_DOOR_PORT: u16 = 7070;

/// Where ports on the shared loopback address are taken from: below the ephemeral range.
const SHARED_PORTS: std::ops::Range<u16> = 20_000..30_000;

/// How many ports after the preferred one may be tried.
pub const PORT_TRIES: u16 = 32;

/// What a listener is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entrance {
    /// The internal door, or where callers are told apart by port, the platform's own endpoints.
    Platform,
    /// One declared call.
    Call { caller: ServiceName, callee: ServiceName },
}

/// How instances of this platform reach it, and each other through it.
#[derive(Debug, Clone)]
pub struct Directory {
    pub callers: CallerIdentity,
    pub door: IpAddr,
    /// The ports that are really listened on; others are assumed to be the preferred ones.
    pub ports: BTreeMap<Entrance, u16>,
    /// Where instances find their data.
    pub data: DataHome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataHome {
    /// Mounted into each instance.
    Mount,
    /// Below the runtime's own folder on this host.
    Host,
}

impl Directory {
    #[must_use]
    pub fn port(&self, platform: &PlatformId, entrance: &Entrance) -> u16 {
        self.ports.get(entrance).copied().unwrap_or_else(|| preferred_port(platform, self.callers, entrance))
    }

    /// The addresses that `service` is given. `state` is the runtime's own folder.
    #[must_use]
    pub fn addresses(&self, platform: &Platform, service: &ServiceSpec, state: &Path) -> Addresses {
        let calls =
            service.calls.iter().map(|callee| (callee.clone(), self.call_url(platform, service, callee)));
        Addresses {
            calls: calls.collect(),
            platform: Some(self.platform_url(platform)),
            database: (service.database == Database::Sqlite).then(|| self.database_url(service, state)),
        }
    }

    fn call_url(&self, platform: &Platform, service: &ServiceSpec, callee: &ServiceName) -> String {
        match self.callers {
            CallerIdentity::SourceAddress => {
                let port = self.port(&platform.id, &Entrance::Platform);
                format!("http://{}:{port}", platform.internal_host(callee))
            }
            CallerIdentity::PortPerCall => {
                let entrance = Entrance::Call { caller: service.name.clone(), callee: callee.clone() };
                format!("http://{}:{}", self.door, self.port(&platform.id, &entrance))
            }
        }
    }

    fn platform_url(&self, platform: &Platform) -> String {
        let port = self.port(&platform.id, &Entrance::Platform);
        match self.callers {
            CallerIdentity::SourceAddress => format!("http://{}:{port}", platform_host(&platform.id)),
            CallerIdentity::PortPerCall => format!("http://{}:{port}", self.door),
        }
    }

    fn database_url(&self, service: &ServiceSpec, state: &Path) -> String {
        let folder = match self.data {
            DataHome::Mount => STORAGE_MOUNT.into(),
            DataHome::Host => process::data_folder(state, &service.name),
        };
        format!("sqlite://{}/{}.db", folder.display(), service.name)
    }

    /// The host names that lead to the door from inside an instance: every service's, so that a call
    /// that was not declared is refused by the door, which says what to do, and not by the resolver.
    #[must_use]
    pub fn door_hosts(&self, platform: &Platform) -> Vec<String> {
        match self.callers {
            CallerIdentity::SourceAddress => {
                let services = platform.services.keys().map(|service| platform.internal_host(service));
                services.chain([platform_host(&platform.id)]).collect()
            }
            CallerIdentity::PortPerCall => Vec::new(),
        }
    }
}

/// The name at which the platform itself answers inside its network.
fn platform_host(platform: &PlatformId) -> String {
    format!("msctl.{}.internal", platform.name)
}

/// The ports of a gateway that cannot have the one in its manifest, the preferred one first.
pub fn gateway_ports(platform: &PlatformId) -> impl Iterator<Item = u16> {
    let first = shared_port(&format!("{platform} gateway"));
    let span = SHARED_PORTS.end - SHARED_PORTS.start;
    (0..PORT_TRIES).map(move |step| SHARED_PORTS.start + (first - SHARED_PORTS.start + step) % span)
}

/// The port that an entrance has unless somebody else holds it.
#[must_use]
pub fn preferred_port(platform: &PlatformId, callers: CallerIdentity, entrance: &Entrance) -> u16 {
    if callers == CallerIdentity::SourceAddress {
        return NAMED_DOOR_PORT;
    }
    let name = match entrance {
        Entrance::Platform => format!("{platform}"),
        Entrance::Call { caller, callee } => format!("{platform} {caller} {callee}"),
    };
    shared_port(&name)
}

fn shared_port(name: &str) -> u16 {
    let digest = Sha256::digest(name.as_bytes());
    SHARED_PORTS.start + u16::from_be_bytes([digest[0], digest[1]]) % (SHARED_PORTS.end - SHARED_PORTS.start)
}
