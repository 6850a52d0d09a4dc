//! What was seen to run, in one look.

use std::net::SocketAddr;
use std::time::SystemTime;

use super::instance::{InstanceName, SpecHash};

/// A snapshot of the instances that carry the platform's labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// Sorted by name.
    pub instances: Vec<ObservedInstance>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ObservedInstance {
    pub name: InstanceName,
    pub hash: SpecHash,
    pub state: InstanceState,
    /// Where it can be dialled from this process; `None` while it does not run.
    pub address: Option<SocketAddr>,
    /// The engine's own name for it: a container id, or a process id.
    pub handle: String,
    /// What it executes, in the engine's own words: the id of an image, the path of a program. `None`
    /// where that cannot be told.
    pub program: Option<String>,
}

/// The states that a runtime reports, each with what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceState {
    /// Made but never started.
    Created,
    Running {
        since: SystemTime,
    },
    /// It runs and serves, under a name that somebody else gave it: it would not be found by its own.
    Renamed {
        since: SystemTime,
    },
    Paused,
    /// It runs, but somebody took it off the platform's network: nobody can reach it.
    CutOff,
    Exited {
        /// `None` where the runtime could not learn it.
        code: Option<i32>,
        /// Killed for exceeding its memory limit.
        out_of_memory: bool,
    },
}

impl InstanceState {
    #[must_use]
    pub fn is_running(self) -> bool {
        matches!(self, Self::Running { .. } | Self::Renamed { .. })
    }
}

impl std::fmt::Display for InstanceState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Created => f.pad("created"),
            Self::Running { .. } => f.pad("running"),
            Self::Renamed { .. } => f.pad("renamed"),
            Self::Paused => f.pad("paused"),
            Self::CutOff => f.pad("lost its network"),
            Self::Exited { out_of_memory: true, .. } => f.pad("out of memory"),
            Self::Exited { code: Some(code), .. } => f.pad(&format!("exited with code {code}")),
            Self::Exited { code: None, .. } => f.pad("exited"),
        }
    }
}

/// Something other than an instance that the platform owns in the engine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    pub kind: ResourceKind,
    pub name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceKind {
    Network,
    Volume,
    Image,
}

impl std::fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Image => "image",
        })
    }
}
