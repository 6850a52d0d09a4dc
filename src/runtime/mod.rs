//! The port to wherever instances run.
//!
//! [`Runtime`] is what the engine drives; [`docker`] (containers, through bollard) and [`process`]
//! (local processes) implement it, and [`fake`] stands in for them where only decisions are tested.
//! One contract suite (`tests/contract/`) runs over all three.
//!
//! A runtime is bound to one platform: it sees and touches only what carries that platform's
//! labels. It decides nothing: no readiness, no restarts, no order.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::model::event::Failure;
use crate::model::instance::{InstanceName, InstanceSpec};
use crate::model::name::ServiceName;
use crate::model::observed::{Observed, Resource};

pub mod docker;
pub mod fake;
mod images;
pub mod labels;
pub mod process;

pub use self::images::{
    Discarded, Extension, ImageBuild, ImageFacts, ImageId, Images, OutputSink, PathFacts, StoredImage,
};

/// Where one platform's instances run.
#[async_trait]
pub trait Runtime: Send + Sync {
    fn kind(&self) -> RuntimeKind;

    /// One line for people: `Docker 20.10.24 (API 1.41)`.
    fn description(&self) -> String;

    /// Makes what instances share (a private network). Idempotent.
    async fn prepare(&self) -> Result<Underlay, RuntimeError>;

    /// Every instance that carries the platform's labels, in one snapshot. Asked at every change, so
    /// it has to be cheap.
    async fn observe(&self) -> Result<Observed, RuntimeError>;

    /// What else carries the platform's labels: networks, volumes and images, sorted.
    async fn resources(&self) -> Result<Vec<Resource>, RuntimeError>;

    /// Creates and starts an instance. Whatever a failed attempt left behind under the same name is
    /// replaced. One that runs already as it is wanted is left as it is: a request of a process that has
    /// died may still have been on its way. Another version of it that runs is an error.
    async fn launch(&self, spec: &InstanceSpec) -> Result<(), RuntimeError>;

    /// Asks an instance to stop (SIGTERM) and kills it when `grace` has passed. Stopping what does
    /// not run or is gone succeeds.
    async fn stop(&self, instance: &InstanceName, grace: Duration) -> Result<StopOutcome, RuntimeError>;

    /// Removes a stopped instance. Removing what is gone succeeds.
    async fn remove(&self, instance: &InstanceName) -> Result<(), RuntimeError>;

    /// Wake-up calls: something about the platform's instances changed, look again. The stream ends
    /// when the runtime's own source of events does; the caller subscribes again.
    async fn changes(&self) -> Result<BoxStream<'static, Change>, RuntimeError>;

    /// The output of an instance, oldest first; with `follow`, ends when the instance does.
    async fn logs(
        &self,
        instance: &InstanceName,
        query: &LogQuery,
    ) -> Result<BoxStream<'static, Result<LogLine, RuntimeError>>, RuntimeError>;

    /// Runs a command inside a running instance, with the caller's terminal or pipes attached, and
    /// gives its exit code.
    async fn exec(&self, instance: &InstanceName, request: &ExecRequest) -> Result<i32, RuntimeError>;

    /// Removes what instances share: networks and images, and with `DataFate::Delete` the storage
    /// too. Returns what was removed. Instances must be gone.
    async fn tear_down(&self, data: DataFate) -> Result<Vec<Resource>, RuntimeError>;

    /// The image side of a container engine; `None` where programs run as they are.
    fn images(&self) -> Option<&dyn Images>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuntimeKind {
    Docker,
    Process,
    Fake,
}

impl std::fmt::Display for RuntimeKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Docker => "docker",
            Self::Process => "process",
            Self::Fake => "fake",
        })
    }
}

/// What the platform process needs to know about the ground its instances stand on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Underlay {
    /// The address of this host at which instances reach the platform process: the internal door.
    pub door: IpAddr,
    /// How a call through the door is told from another.
    pub callers: CallerIdentity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerIdentity {
    /// Each instance calls from an address of its own, and resolves the door's host names.
    SourceAddress,
    /// All instances share one address and no name service: each declared call gets a port.
    PortPerCall,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopOutcome {
    /// It ended by itself within its grace, or was not running.
    Stopped,
    /// It had to be killed.
    Killed,
}

/// "Look again." The name is a hint for people; `None` when it may be anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub service: Option<ServiceName>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataFate {
    Keep,
    Delete,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogQuery {
    pub follow: bool,
    /// At most this many of the newest lines; `None` for all.
    pub tail: Option<usize>,
    pub since: Option<SystemTime>,
}

/// One line that an instance wrote, without its line end. Bytes that are not UTF-8 are replaced;
/// control characters are kept (escaping them is the printer's work).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written; `None` where the runtime does not record it.
    pub at: Option<SystemTime>,
    pub stream: LogStream,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    Stdout,
    Stderr,
}

/// The longest line that is kept whole, in bytes; longer ones are cut there, with a mark.
pub const MAX_LOG_LINE: usize = 64 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecRequest {
    /// Never empty.
    pub argv: Vec<String>,
    pub terminal: Terminal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminal {
    /// Attach the caller's terminal, raw.
    Attached,
    /// Pipes only.
    None,
}

/// What a runtime can fail at. Messages complete "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The engine did not answer at all.
    #[error("the {engine} engine at {address} does not answer: {reason}")]
    Unreachable { engine: &'static str, address: String, reason: String },
    #[error("no image {reference} is on this machine, and no registry gave it: {reason}")]
    ImageMissing { reference: String, reason: String },
    /// The builder said no; `tail` is what the failing step printed last.
    #[error("{message}")]
    BuildFailed { message: String, tail: Vec<String> },
    #[error("cannot run {program}: {reason}")]
    CannotRun { program: String, reason: String },
    #[error("instance {0} does not exist")]
    NoSuchInstance(InstanceName),
    #[error("instance {0} is not running")]
    NotRunning(InstanceName),
    /// The runtime cannot do this.
    #[error("the {kind} runtime does not {what}")]
    Unsupported { kind: RuntimeKind, what: &'static str },
    #[error("cannot {what} {path}: {source}")]
    File { what: &'static str, path: std::path::PathBuf, source: std::io::Error },
    /// Anything else that the engine refused.
    #[error("the engine could not {what}: {reason}")]
    Refused { what: String, reason: String },
}

impl RuntimeError {
    /// Whether the engine is gone, rather than unwilling.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// What to do next, where there is something.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unreachable { .. } => {
                Some("start the engine, or run without one: msctl up --runtime process")
            }
            Self::ImageMissing { .. } => {
                Some("load or build it, or map it under [images.aliases] in msctl.toml")
            }
            Self::NoSuchInstance(_) | Self::NotRunning(_) => Some("see what runs with: msctl ps"),
            _ => None,
        }
    }
}

impl From<RuntimeError> for Failure {
    fn from(error: RuntimeError) -> Self {
        Self {
            message: error.to_string(),
            hint: error.hint().map(str::to_owned),
            engine_lost: error.is_unreachable(),
            // A step of a Dockerfile is a command like any other.
            is_lasting: matches!(error, RuntimeError::BuildFailed { .. }),
            excerpt: match &error {
                RuntimeError::BuildFailed { tail, .. } => tail.clone(),
                _ => Vec::new(),
            },
            ..Self::default()
        }
    }
}
