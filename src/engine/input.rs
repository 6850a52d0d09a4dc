//! What can happen to the engine, and what it can have done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::executor::{LastWords, Report};
use crate::model::catalog::Catalog;
use crate::model::desired::{Known, Pin};
use crate::model::difference::Differences;
use crate::model::event::{EventKind, Failure};
use crate::model::instance::{BuildDigest, Generation, InstanceName, SpecHash};
use crate::model::name::ServiceName;
use crate::model::observed::Observed;
use crate::model::platform::Platform;
use crate::plan::Plan;

/// Everything that can happen to the engine.
#[derive(Debug)]
pub enum Input {
    /// Make it so. `only` limits it to some services and those they call; `None` is all.
    Apply {
        platform: Arc<Platform>,
        only: Option<BTreeSet<ServiceName>>,
    },
    Scale {
        replicas: BTreeMap<ServiceName, u16>,
    },
    Restart {
        services: BTreeSet<ServiceName>,
    },
    /// As a restart, and by the sources as they are, whatever was rolled back.
    Redeploy {
        services: BTreeSet<ServiceName>,
    },
    /// Run what an earlier generation ran.
    RollBack {
        service: ServiceName,
        pin: Pin,
    },
    /// Go on where another process has stopped.
    Succeed {
        platform: Arc<Platform>,
        wishes: Wishes,
    },
    /// Go on where this one has stopped; what was under way then may have been broken off.
    Resume,
    Observed {
        observed: Arc<Observed>,
        catalog: Arc<Catalog>,
    },
    /// What an instance printed that has ended by itself.
    Heard {
        instance: InstanceName,
        words: LastWords,
    },
    /// A look that failed.
    Unseen(Failure),
    /// Something that these services are made from may have changed.
    Changed(BTreeSet<ServiceName>),
    /// The manifest is another one. What was asked for is what counts, as it is there now.
    Edited(Arc<Platform>),
    /// What [`Effect::Reconcile`] has led to.
    Planned(Planned),
    /// What [`Effect::Execute`] has led to.
    Executed {
        run: RunId,
        report: Report,
    },
    /// The reconcile could not even look at the world.
    Blind(Failure),
    /// Time passed.
    Tick,
}

/// What the driver has to do. It must do all of it, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Observe and plan; report back with [`Input::Planned`] or [`Input::Blind`].
    Reconcile,
    /// Carry out a plan; report back with [`Input::Executed`].
    Execute {
        run: RunId,
        plan: Plan,
    },
    /// Break off what can be broken off of a run; it reports back as any other.
    GiveUp(RunId),
    /// Route to an instance again that runs and took requests before.
    Recall(InstanceName),
    /// Stop routing to an instance that is no more.
    Forget(InstanceName),
    /// Read what an instance printed that has ended by itself; report back with [`Input::Heard`].
    Hear(InstanceName),
    Announce(EventKind),
    /// Nothing is left to do: whoever waits for that may be told.
    Settled,
}

/// One execution of a plan, numbered as they begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u64);

/// A decision, and what it was made from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Planned {
    pub plan: Plan,
    /// The version that is wanted of each service, whether the plan says anything about it or not.
    pub versions: BTreeMap<ServiceName, SpecHash>,
    /// What differs in the manifest since what runs of each service was made.
    pub edits: BTreeMap<ServiceName, Differences>,
    /// What the sources of each service are.
    pub known: BTreeMap<ServiceName, Known>,
    /// Services whose sources could not be read.
    pub failed: BTreeMap<ServiceName, Failure>,
    /// Services for which there will be more to plan once something is over: what is under way, or a build.
    pub put_off: BTreeSet<ServiceName>,
}

/// What was asked for beyond the manifest, and cannot be seen by looking: what a process passes on to
/// the one that replaces it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Wishes {
    pub scale: BTreeMap<ServiceName, u16>,
    pub restart_through: BTreeMap<ServiceName, Generation>,
    pub last_generation: BTreeMap<ServiceName, Generation>,
    pub pins: BTreeMap<ServiceName, Pin>,
    /// What the sources of each service were when they were last to be looked at.
    pub digests: BTreeMap<ServiceName, BuildDigest>,
    /// The services that were asked for; `None` is all.
    pub active: Option<BTreeSet<ServiceName>>,
}
