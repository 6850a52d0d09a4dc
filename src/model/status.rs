//! What `ps` shows: the state of a platform as one document. Its JSON form is public
//! (`msctl ps --format json`) and is what the admin socket carries.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// The version of the document; grows when a field changes its meaning.
pub const SCHEMA: &str = "msctl.ps/1";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformStatus {
    pub schema: String,
    pub platform: String,
    /// The linked git worktree that it is in; absent in a main checkout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout: Option<String>,
    /// `docker` or `process`.
    pub runtime: String,
    /// Which engine that is, and why it was chosen; absent when the platform is not up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_reason: Option<String>,
    pub gateway: GatewayStatus,
    /// The process that serves the gateway; absent when none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Whether what is saved is deployed; absent when the platform is not up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watching: Option<bool>,
    /// Why the manifest cannot be followed as it is; the last good one still counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    pub services: Vec<ServiceStatus>,
}

impl PlatformStatus {
    /// How people are told of it: `store`, or `store (feature-x)`.
    #[must_use]
    pub fn title(&self) -> String {
        match &self.checkout {
            Some(checkout) => format!("{} ({checkout})", self.platform),
            None => self.platform.clone(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayStatus {
    /// Where the platform answers; `null` when it is not up.
    pub url: Option<String>,
    /// The address in the manifest, where that is another platform's; absent where it is this one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    pub name: String,
    pub state: ServiceState,
    /// The newest generation that exists; `null` when none does.
    pub generation: Option<u32>,
    pub replicas: Replicas,
    /// Failures in a row.
    pub failures: u32,
    /// Why it is not ready, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Where the output of what failed is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    pub routes: Vec<String>,
    pub instances: Vec<InstanceStatus>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replicas {
    pub ready: usize,
    pub wanted: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceStatus {
    pub name: String,
    /// The engine's name for it: a container id, or a process id.
    pub handle: String,
    pub state: String,
    pub address: Option<String>,
    /// When it was started, where it runs.
    #[serde(with = "time")]
    pub since: Option<SystemTime>,
    /// Whether requests are routed to it.
    pub serving: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceState {
    /// All wanted replicas take requests.
    Ready,
    /// Some do.
    Degraded,
    /// None does yet, and nothing has gone wrong.
    Starting,
    /// Its last start failed; it is tried again.
    Failed,
    /// It failed at least three times in a row; it is tried again, ever more rarely.
    CrashLooping,
    /// It runs, but no platform process routes to it.
    Unattended,
    Stopped,
}

impl std::fmt::Display for ServiceState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Starting => "starting",
            Self::Failed => "failed",
            Self::CrashLooping => "crash-looping",
            Self::Unattended => "unattended",
            Self::Stopped => "stopped",
        })
    }
}

/// Times as RFC 3339 text, to the second.
mod time {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[expect(clippy::ref_option, reason = "this is how serde calls it: with a reference to the field")]
    pub fn serialize<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
        time.map(|time| humantime::format_rfc3339_seconds(time).to_string()).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| humantime::parse_rfc3339_weak(&text)).transpose().map_err(D::Error::custom)
    }
}
