//! What travels over the admin socket, as JSON; streams are one document a line.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::model::deployment::Recipe;
use crate::model::event::Event;
use crate::model::explanation::{Explanation, Question};
use crate::model::histogram::Durations;
use crate::model::outcome::Outcome;
use crate::model::status::PlatformStatus;

/// Something to be made so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// Read the manifest again and follow it. `services` limits it to some and what they call.
    Apply {
        services: Option<BTreeSet<String>>,
    },
    Scale {
        replicas: BTreeMap<String, u16>,
    },
    Restart {
        services: BTreeSet<String>,
    },
    /// As a restart, and by the sources as they are, whatever was rolled back.
    Redeploy {
        services: BTreeSet<String>,
    },
    /// Run what an earlier generation ran, until the sources are others.
    RollBack {
        service: String,
        to: u32,
        recipe: Recipe,
    },
}

/// One line of the answer to a change, or of the event stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Message {
    Event(Event),
    /// The change is done, as far as it could be. The last line.
    Outcome(Outcome),
    /// The change was not begun. The last line.
    Refused(Refusal),
}

/// Why a change was not begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub message: String,
    pub hint: Option<String>,
}

impl Refusal {
    /// Nothing is changed any more.
    #[must_use]
    pub fn stopping() -> Self {
        Self {
            message: "the platform is stopping".to_owned(),
            hint: Some("start it again with: msctl up".to_owned()),
        }
    }
}

/// One line of `msctl routes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteRow {
    pub path: String,
    pub methods: Vec<String>,
    pub access: String,
    pub service: String,
    /// Endpoints that take requests now; `None` when the platform is not up.
    pub ready: Option<usize>,
    /// Whether they take requests or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<usize>,
    /// What was counted of it since the platform is up; `None` when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
}

/// What was counted of a route, or of several together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    pub requests: u64,
    /// Of these, answered with 5xx.
    pub errors: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub durations: Durations,
}

impl Traffic {
    /// What came since `earlier`; all of it if the counters began anew in between.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        if self.requests < earlier.requests {
            return *self;
        }
        Self {
            requests: self.requests - earlier.requests,
            errors: self.errors.saturating_sub(earlier.errors),
            bytes_in: self.bytes_in.saturating_sub(earlier.bytes_in),
            bytes_out: self.bytes_out.saturating_sub(earlier.bytes_out),
            durations: self.durations.since(&earlier.durations),
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            errors: self.errors + other.errors,
            bytes_in: self.bytes_in + other.bytes_in,
            bytes_out: self.bytes_out + other.bytes_out,
            durations: self.durations.and(&other.durations),
        }
    }
}

/// All that was counted up to a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficReport {
    /// Since the platform is up, in milliseconds.
    pub at_ms: u64,
    pub services: Vec<ServiceTraffic>,
    /// Requests that led to no service.
    pub unrouted: Traffic,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceTraffic {
    pub service: String,
    pub in_flight: usize,
    pub ready: usize,
    pub endpoints: usize,
    pub routes: Vec<RouteTraffic>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTraffic {
    /// Its path; `calls` is what other services ask for.
    pub route: String,
    /// Where it names some.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub methods: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hosts: String,
    pub traffic: Traffic,
}

/// What a running platform does for whoever may open its admin socket.
#[async_trait]
pub trait Control: Send + Sync {
    async fn status(&self) -> PlatformStatus;
    async fn routes(&self) -> Vec<RouteRow>;
    async fn traffic(&self) -> TrafficReport;
    /// What the gateway counts, as Prometheus reads it, and what kind of text that is.
    async fn metrics(&self) -> (&'static str, String);
    /// Which way a request would take. `None` where the question makes no sense, with the reason.
    async fn explain(&self, question: Question) -> Result<Explanation, Refusal>;
    /// The text of the plan that applying the manifest would carry out now.
    async fn plan(&self, services: Option<BTreeSet<String>>) -> Result<String, Refusal>;
    /// Makes a change; returns once it is done or has failed.
    async fn change(&self, change: Change) -> Result<Outcome, Refusal>;
    /// What happens from now on, after what has happened so far if `from_start`.
    fn events(&self, from_start: bool) -> BoxStream<'static, Event>;
    /// What has happened so far, as far as it is remembered, oldest first.
    fn past_events(&self) -> Vec<Event>;
    /// Asks the platform process to let go of everything and to end.
    fn stop(&self);
}
