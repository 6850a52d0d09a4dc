//! One running copy of a service.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::name::{PlatformId, ServiceName};
use super::platform::Limits;
use super::quantity::Port;

/// A version of a service as deployed on this machine, counted from 1. A change of anything that
/// its instances are made from makes a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(NonZeroU32);

impl Generation {
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    #[must_use]
    pub fn number(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// Which instance: replica `replica` (from 1) of generation `generation` of `service`.
/// Written `order.v3.1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceName {
    pub service: ServiceName,
    pub generation: Generation,
    pub replica: u16,
}

impl InstanceName {
    /// The name that was written as it is shown.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (rest, replica) = text.rsplit_once('.')?;
        let (service, generation) = rest.rsplit_once(".v")?;
        let generation = Generation::new(generation.parse().ok()?)?;
        Some(Self { service: service.parse().ok()?, generation, replica: replica.parse().ok()? })
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}.{}", self.service, self.generation, self.replica))
    }
}

/// A digest of everything that an instance is made from, as hexadecimal. Two instances with equal
/// hashes are interchangeable; a differing hash is what makes a redeploy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpecHash(pub String);

/// A digest of a service's sources and of how they are built, as hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildDigest(pub String);

impl BuildDigest {
    /// The first twelve digits: enough to tell builds of one service apart.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

/// What an instance executes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Program {
    /// The command of this image.
    Image { reference: String },
    /// This command line on the host, in this folder.
    Command { argv: Vec<String>, folder: PathBuf },
}

/// Storage that outlives instances and is mounted into those of one service alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Storage {
    pub service: ServiceName,
}

/// Where containers find [`Storage`].
pub const STORAGE_MOUNT: &str = "/data";

/// Everything a runtime needs to create and start one instance. The runtime itself adds `PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceSpec {
    pub platform: PlatformId,
    pub name: InstanceName,
    pub hash: SpecHash,
    pub program: Program,
    /// Variables, sorted by name by whoever builds them; no name twice.
    pub environment: Vec<(String, String)>,
    /// Host names that resolve to the internal door.
    pub door_hosts: Vec<String>,
    pub port: Port,
    pub limits: Limits,
    pub storage: Option<Storage>,
    pub stop_grace: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_as_it_is_shown_and_nothing_else_does() {
        for text in ["order.v3.1", "a-b.v12.64"] {
            assert_eq!(InstanceName::read(text).unwrap().to_string(), text);
        }
        for text in ["order", "order.3.1", "order.v0.1", "order.v3", "order.v3.x", "Order.v3.1", ".v1.1"] {
            assert_eq!(InstanceName::read(text), None, "{text}");
        }
    }
}
