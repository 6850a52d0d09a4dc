//! A platform as its author wrote it, once it is known to be valid.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::name::{PlatformId, ServiceName};
use super::quantity::{ByteSize, Cpus, Port};
use super::route::Route;

/// A whole platform: the manifest `msctl.toml` and every `service.toml` it names.
///
/// Holds what validation promises: no two services share a name, no two routes collide, `calls`
/// name services that exist, and their graph has no cycle.
#[derive(Debug, Clone, PartialEq)]
pub struct Platform {
    pub id: PlatformId,
    /// The folder of `msctl.toml`, canonical.
    pub root: PathBuf,
    pub gateway: GatewaySettings,
    pub auth: AuthSettings,
    /// What every service gets; a service's own wins.
    pub configuration: BTreeMap<String, String>,
    /// Base image → the image to use in its place.
    pub image_aliases: BTreeMap<String, String>,
    pub services: BTreeMap<ServiceName, ServiceSpec>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewaySettings {
    /// The one published address. Port 0 takes a free one.
    pub listen: SocketAddr,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthSettings {
    pub access_token_ttl: Duration,
    /// The `iss` of every token; `None` follows from the platform's name.
    pub issuer: Option<String>,
}

/// One service, from its `service.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceSpec {
    pub name: ServiceName,
    /// The bounded context it belongs to, for people and graphs.
    pub context: Option<String>,
    /// The folder of `service.toml`, canonical.
    pub folder: PathBuf,
    pub build: Build,
    /// How to run it without a container engine; `None` where the artifact itself is run.
    pub process: Option<ProcessRecipe>,
    pub run: Run,
    pub routes: Vec<Route>,
    /// The services that it may call.
    pub calls: BTreeSet<ServiceName>,
    pub database: Database,
    pub configuration: BTreeMap<String, String>,
}

/// How sources become something that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Build {
    /// Built on the host by a shell command; only the artifact is shipped, in an image of its own.
    Pack {
        command: String,
        /// The program that `command` leaves behind, relative to the service's folder, or starting
        /// with `$MSCTL_CACHE/` for the cache folder that the platform's builds share.
        artifact: String,
    },
    /// Built by the engine from a Dockerfile, relative to the service's folder.
    Dockerfile { file: PathBuf },
    /// Not built at all.
    Image { reference: String },
}

/// `[process]`: what to do where no engine runs containers. Both are shell commands, run in the
/// service's folder; the second one finds `PORT` and everything else in its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessRecipe {
    /// Prepares whatever `command` needs (a virtual environment, modules).
    pub build: Option<String>,
    pub command: String,
}

/// `[run]`: how an instance is run and when it counts as ready.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The port it listens on inside its container. A local process is given a free one as `PORT`.
    pub port: Port,
    pub replicas: u16,
    pub limits: Limits,
    pub health: Health,
    /// How long an instance has between being asked to stop and being killed.
    pub stop_grace: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub memory: ByteSize,
    pub cpus: Cpus,
    /// Processes and threads.
    pub pids: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Answers 2xx or 3xx once the service can take requests.
    pub path: String,
    /// How long a new instance has to get there.
    pub start_period: Duration,
    /// How long one probe may take.
    pub timeout: Duration,
}

/// Where a service keeps its data. Each service has its own or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    None,
    /// A file on storage that only this service sees, at `DATABASE_URL`.
    Sqlite,
}

impl Platform {
    /// The name by which callers inside the platform's network reach `service`.
    #[must_use]
    pub fn internal_host(&self, service: &ServiceName) -> String {
        format!("{service}.{}.internal", self.id.name)
    }

    /// The name by which clients of the gateway may address `service` directly.
    #[must_use]
    pub fn public_host(&self, service: &ServiceName) -> String {
        format!("{service}.{}.localhost", self.id.name)
    }
}
