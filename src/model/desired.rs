//! What should run, ready to be compared with what does.

use std::collections::BTreeMap;
use std::time::Duration;

use super::instance::{BuildDigest, Generation, Program, SpecHash};
use super::name::ServiceName;
use super::platform::ServiceSpec;

/// The wish of the whole platform.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Desired {
    pub services: BTreeMap<ServiceName, DesiredService>,
}

/// What a service's sources are, and what was made of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub digest: BuildDigest,
    /// `None` where nothing is, or nobody has looked.
    pub built: Option<Program>,
}

/// What an earlier generation of a service ran, to be run again as long as its sources stay as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    pub program: Program,
    /// What that was made from, where it is known.
    pub digest: Option<BuildDigest>,
    /// The generation that it was.
    pub to: Generation,
    /// The sources that it takes the place of; `None` until they have been looked at.
    pub over: Option<BuildDigest>,
}

/// One service's wish: `replicas` instances, all of the same hash.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredService {
    pub spec: ServiceSpec,
    pub digest: BuildDigest,
    /// Whether what `digest` names has to be built first. Until then nobody knows whether it differs from
    /// what runs: `program` and `hash` go by the sources.
    pub needs_build: bool,
    pub program: Program,
    /// Variables that are part of the hash, sorted by name.
    pub environment: Vec<(String, String)>,
    pub hash: SpecHash,
    pub replicas: u16,
    /// How long requests in flight may keep a withdrawn instance.
    pub drain: Duration,
}
