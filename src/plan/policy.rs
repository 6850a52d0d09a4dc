//! What planning has to respect besides the two snapshots.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::desired::DesiredService;
use crate::model::difference::Differences;
use crate::model::instance::{Generation, SpecHash};
use crate::model::name::ServiceName;

/// How long a new instance has to keep running before those that it replaces are removed.
pub const WATCH_WINDOW: Duration = Duration::from_secs(2);

#[derive(Debug, Clone)]
pub struct Policy {
    /// Services that are left exactly as they are: nobody has asked for them.
    pub held: BTreeSet<ServiceName>,
    /// Services that an executor is at work on. They are left to it, and so is whatever has to wait for
    /// one of them that does not serve yet.
    pub busy: BTreeSet<ServiceName>,
    /// Services that are left as they are for a while because this version of them has failed; those that
    /// go have none.
    pub waiting: BTreeMap<ServiceName, Option<SpecHash>>,
    /// The highest generation that each service ever had here, running or not.
    pub last_generation: BTreeMap<ServiceName, Generation>,
    /// Instances up to this generation are to be replaced although nothing about them differs.
    pub restart_through: BTreeMap<ServiceName, Generation>,
    /// What differs in the manifest since what runs of each service was made: what people are told of why.
    pub edits: BTreeMap<ServiceName, Differences>,
    /// How long an instance that nobody wants any more has to stop, and its requests to finish.
    pub leaving: Leaving,
    /// For how long there is a way back from a new instance.
    pub window: Duration,
}

/// Limits for instances of services that are not in the manifest (any more).
#[derive(Debug, Clone, Copy)]
pub struct Leaving {
    pub drain: Duration,
    pub grace: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            held: BTreeSet::new(),
            busy: BTreeSet::new(),
            waiting: BTreeMap::new(),
            last_generation: BTreeMap::new(),
            restart_through: BTreeMap::new(),
            edits: BTreeMap::new(),
            leaving: Leaving::default(),
            window: WATCH_WINDOW,
        }
    }
}

impl Default for Leaving {
    fn default() -> Self {
        Self { drain: Duration::from_secs(10), grace: Duration::from_secs(10) }
    }
}

/// Whether a service is brought to what is wanted of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    Follow,
    /// What takes requests goes on doing so. Of a version that waits because it failed, only what takes
    /// some stays.
    Stay,
}

impl Policy {
    pub(super) fn course(&self, service: &DesiredService) -> Course {
        let name = &service.spec.name;
        if self.held.contains(name) || self.failing(name) == Some(&service.hash) {
            return Course::Stay;
        }
        Course::Follow
    }

    /// The version of it that has failed a short while ago.
    pub(super) fn failing(&self, service: &ServiceName) -> Option<&SpecHash> {
        self.waiting.get(service).and_then(Option::as_ref)
    }
}
