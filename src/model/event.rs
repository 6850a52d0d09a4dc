//! What happened: one stream, many readers (progress, logs, history). Nobody parses strings out of
//! it, and its JSON form is what the admin socket carries.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::deployment::{Beginning, Outcome, Recipe, Stage};
use super::instance::InstanceName;

/// One thing that happened to a running platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub at: SystemTime,
    #[serde(flatten)]
    pub kind: EventKind,
}

/// Every kind of thing that can happen. `service` and `instance` are names as shown to people, which are
/// also names that can be read back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// The gateway takes requests at `url`.
    GatewayListening {
        url: String,
    },
    /// Somebody has asked for a change, of these services or of all.
    Asked {
        change: Wish,
        services: Vec<String>,
    },
    /// A plan was made; zero steps means that nothing differs.
    Planned {
        steps: usize,
        services: Vec<String>,
    },
    StepStarted {
        service: String,
        step: StepKind,
        subject: String,
    },
    StepFinished {
        service: String,
        step: StepKind,
        subject: String,
        took: Duration,
    },
    /// A step failed. The service's earlier generation, if any, still serves.
    StepFailed {
        service: String,
        step: StepKind,
        subject: String,
        failure: Failure,
    },
    /// A step was broken off because something newer is wanted.
    StepGivenUp {
        service: String,
        step: StepKind,
        subject: String,
    },
    /// A new generation of a service is on its way. Said before its first step; where nobody says it, it
    /// follows from the steps.
    DeploymentBegun(Box<Beginning>),
    /// It is known by now what a deployment is made of, which has begun with its build.
    DeploymentMade {
        service: String,
        generation: u32,
        recipe: Recipe,
    },
    /// A stage is over that is no step of its own.
    DeploymentReached {
        service: String,
        generation: u32,
        stage: Stage,
    },
    /// What became of a deployment, where that does not follow from its steps.
    DeploymentEnded {
        service: String,
        generation: u32,
        outcome: Outcome,
    },
    /// A line that a build printed.
    BuildOutput {
        service: String,
        line: String,
    },
    /// A build came to its end. Its parts end one after the other, the second one now.
    Built {
        service: String,
        /// Until everything was compiled and collected.
        built_in: Duration,
        /// From there until it was where it runs.
        shipped_in: Duration,
    },
    /// Something that people should know, and that hinders nothing.
    Noticed {
        /// Whom it is about; `None` where it is about the platform.
        service: Option<String>,
        message: String,
        hint: Option<String>,
    },
    /// The manifest cannot be followed as it is; the last good one still counts.
    ManifestRefused {
        message: String,
        hint: Option<String>,
    },
    /// The manifest is good again.
    ManifestFollowed,
    /// An instance stopped by itself.
    InstanceExited {
        service: String,
        instance: String,
        state: String,
        restart_in: Option<Duration>,
    },
    /// What an instance printed that has stopped by itself.
    LastWords {
        service: String,
        instance: String,
        excerpt: Vec<String>,
        /// Where all of it is.
        log: Option<String>,
    },
    /// Everything that was planned has been done, or has failed.
    Settled {
        ready: Vec<String>,
        failed: Vec<String>,
        took: Duration,
    },
    /// The engine stopped answering, or answers again.
    EngineLost {
        reason: String,
    },
    EngineBack,
    /// Another process goes on with the platform; nothing more is to be heard from this one.
    Replaced,
    /// The platform process is about to end.
    Stopping,
    /// Another version of msctl tells of something that is not known here.
    #[serde(other)]
    Unknown,
}

/// A kind of change that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wish {
    Apply,
    Scale,
    Restart,
    Redeploy,
    RollBack,
}

/// The stages of a deployment, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    Build,
    Start,
    AwaitReady,
    Admit,
    /// It takes requests, and those that it replaces wait whether it stays.
    Watch,
    Withdraw,
    Drain,
    Remove,
}

impl std::fmt::Display for StepKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Build => "build",
            Self::Start => "create+start",
            Self::AwaitReady => "await-ready",
            Self::Admit => "admit",
            Self::Watch => "watch",
            Self::Withdraw => "withdraw",
            Self::Drain => "drain",
            Self::Remove => "stop+remove",
        })
    }
}

/// Why a step failed, as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What went wrong and why, in one line.
    pub message: String,
    /// The next command or line to try.
    pub hint: Option<String>,
    /// The last lines that the build or the instance printed.
    pub excerpt: Vec<String>,
    /// Where the whole output is.
    pub log: Option<String>,
    /// Whether the deadline passed, rather than something breaking.
    pub timed_out: bool,
    /// Whether the engine itself did not answer.
    pub engine_lost: bool,
    /// Whether it would be the same every time, as long as nothing is changed.
    #[serde(default)]
    pub is_lasting: bool,
}

impl EventKind {
    /// The services that it is about; none, where it is about the platform.
    #[must_use]
    pub fn services(&self) -> Vec<&str> {
        match self {
            Self::Planned { services, .. } | Self::Asked { services, .. } => {
                services.iter().map(String::as_str).collect()
            }
            Self::Settled { ready, failed, .. } => ready.iter().chain(failed).map(String::as_str).collect(),
            Self::DeploymentBegun(beginning) => vec![&beginning.service],
            Self::StepStarted { service, .. }
            | Self::StepFinished { service, .. }
            | Self::StepFailed { service, .. }
            | Self::StepGivenUp { service, .. }
            | Self::DeploymentMade { service, .. }
            | Self::DeploymentReached { service, .. }
            | Self::DeploymentEnded { service, .. }
            | Self::BuildOutput { service, .. }
            | Self::Built { service, .. }
            | Self::InstanceExited { service, .. }
            | Self::LastWords { service, .. } => vec![service],
            Self::Noticed { service, .. } => service.iter().map(String::as_str).collect(),
            Self::GatewayListening { .. }
            | Self::ManifestRefused { .. }
            | Self::ManifestFollowed
            | Self::EngineLost { .. }
            | Self::EngineBack
            | Self::Replaced
            | Self::Stopping
            | Self::Unknown => Vec::new(),
        }
    }

    /// The instance that it is about, where it is about one.
    #[must_use]
    pub fn instance(&self) -> Option<InstanceName> {
        match self {
            Self::StepStarted { subject, .. }
            | Self::StepFinished { subject, .. }
            | Self::StepFailed { subject, .. }
            | Self::StepGivenUp { subject, .. } => InstanceName::read(subject),
            Self::InstanceExited { instance, .. } | Self::LastWords { instance, .. } => {
                InstanceName::read(instance)
            }
            _ => None,
        }
    }
}

impl Event {
    /// The instance that this event says was removed.
    #[must_use]
    pub fn removed_instance(&self) -> Option<&str> {
        match &self.kind {
            EventKind::StepFinished { step: StepKind::Remove, subject, .. } => Some(subject),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::deployment::{Cause, Recipe, RecordedProgram};

    #[test]
    fn what_is_told_of_deployments_reads_back_as_it_was_told() {
        let beginning = Beginning {
            service: "order".into(),
            generation: 7,
            cause: Cause::SourcesChanged { paths: vec!["src/main.rs".into()], more: 1, uncounted: false },
            began: SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_123),
            timings: [(Stage::Detected, Duration::ZERO), (Stage::Debounced, Duration::from_micros(32_500))]
                .into_iter()
                .collect(),
            recipe: Recipe {
                digest: Some("d".into()),
                hash: Some("h".into()),
                program: Some(RecordedProgram::Image { reference: "order:d".into() }),
            },
        };
        let (service, generation) = ("order".to_owned(), 7);
        for kind in [
            EventKind::DeploymentBegun(Box::new(beginning)),
            EventKind::DeploymentReached { service: service.clone(), generation, stage: Stage::Shipped },
            EventKind::DeploymentEnded { service, generation, outcome: Outcome::Superseded { by: 8 } },
            EventKind::Asked { change: Wish::Restart, services: vec!["order".into()] },
            EventKind::Replaced,
        ] {
            let event = Event { at: SystemTime::UNIX_EPOCH, kind };
            let text = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event, "{text}");
        }
    }

    #[test]
    fn what_another_version_tells_is_no_reason_to_hear_nothing_more() {
        let at = serde_json::to_value(SystemTime::UNIX_EPOCH).unwrap();
        let told = serde_json::json!({"at": at, "event": "moon-rose", "phase": {"of": [3]}});
        assert_eq!(serde_json::from_value::<Event>(told).unwrap().kind, EventKind::Unknown);
    }
}
