//! What travels over the admin socket, as JSON; streams are one document a line.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::model::event::Event;
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

/// One line of `msctl routes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteRow {
    pub path: String,
    pub methods: Vec<String>,
    pub access: String,
    pub service: String,
    /// Endpoints that take requests now; `None` when the platform is not up.
    pub ready: Option<usize>,
}

/// What a running platform does for whoever may open its admin socket.
#[async_trait]
pub trait Control: Send + Sync {
    async fn status(&self) -> PlatformStatus;
    async fn routes(&self) -> Vec<RouteRow>;
    /// The text of the plan that applying the manifest would carry out now.
    async fn plan(&self, services: Option<BTreeSet<String>>) -> Result<String, Refusal>;
    /// Makes a change; returns once it is done or has failed.
    async fn change(&self, change: Change) -> Result<Outcome, Refusal>;
    /// What happens from now on, after what has happened so far if `from_start`.
    fn events(&self, from_start: bool) -> BoxStream<'static, Event>;
    /// Asks the platform process to let go of everything and to end.
    fn stop(&self);
}
