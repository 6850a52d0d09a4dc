//! What builds of a platform have left, as `du` shows it. Its JSON form is public
//! (`msctl du --format json`).

use std::time::SystemTime;

use serde::Serialize;

use super::deployment::moment;

/// The version of the document; grows when a field changes its meaning.
pub const SCHEMA: &str = "msctl.du/1";

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Usage {
    pub schema: &'static str,
    pub platform: String,
    /// By service, what it is, and age; the newest last.
    pub kept: Vec<Holding>,
    /// What has been given up just now; empty unless that was asked for.
    pub collected: Vec<Holding>,
    /// Of all that is kept.
    pub bytes: u64,
    pub bytes_in_use: u64,
    /// Why images are not among these: an engine that the platform ran on does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unseen: Option<String>,
}

/// One build that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holding {
    pub service: String,
    pub what: HoldingKind,
    /// Which generations of the service were made from it, as far as that is known.
    pub generations: Vec<u32>,
    /// The id of an image, the path of an artifact.
    pub handle: String,
    /// By which else it is found.
    pub names: Vec<String>,
    /// What goes with it: without what it shares with others.
    pub bytes: u64,
    /// When it was built last.
    #[serde(with = "moment")]
    pub made: SystemTime,
    /// Whether instances are made from it.
    pub in_use: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldingKind {
    /// An image that instances are made from.
    Image,
    /// An image that others are laid over.
    Base,
    /// What runs without an engine.
    Artifact,
}

impl Usage {
    #[must_use]
    pub fn of(platform: String, kept: Vec<Holding>, collected: Vec<Holding>, unseen: Option<String>) -> Self {
        let sum = |holdings: &mut dyn Iterator<Item = &Holding>| holdings.map(|one| one.bytes).sum();
        let bytes = sum(&mut kept.iter());
        let bytes_in_use = sum(&mut kept.iter().filter(|one| one.in_use));
        Self { schema: SCHEMA, platform, kept, collected, bytes, bytes_in_use, unseen }
    }
}

impl std::fmt::Display for HoldingKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Image => "image",
            Self::Base => "base",
            Self::Artifact => "artifact",
        })
    }
}
