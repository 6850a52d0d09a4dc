//! When it is enough: a pure function of what was noticed and of the time.
//!
//! One save is several events, a branch switch is tens of thousands. So nothing is said until there is
//! a moment of rest, which is short after a few files and longer after many. It is never waited for
//! longer than a hard limit: where something is written all the time, a report now and then is better
//! than none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::change::{Change, Touch};
use super::layout::Affected;
use crate::model::name::ServiceName;

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The rest after at most [`Pace::few`] paths: longer than an editor takes between removing the
    /// old file and putting the new one there.
    pub rest: Duration,
    pub few: usize,
    /// The rest after more than that.
    pub rest_after_many: Duration,
    /// From the first event on.
    pub longest: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            rest: Duration::from_millis(30),
            few: 8,
            rest_after_many: Duration::from_millis(200),
            longest: Duration::from_secs(10),
        }
    }
}

/// What was noticed since the last report. Its size is bounded by the number of services.
pub struct Quiet {
    pace: Pace,
    pending: Option<Pending>,
}

struct Pending {
    services: BTreeMap<ServiceName, Touch>,
    manifest: Option<Touch>,
    first: Instant,
    last: Instant,
    /// As many as it takes to tell few from many.
    distinct: BTreeSet<PathBuf>,
}

impl Quiet {
    pub fn new(pace: Pace) -> Self {
        Self { pace, pending: None }
    }

    /// Something was touched; which path is not always known.
    pub fn note(&mut self, path: Option<&Path>, affected: Affected, at: Instant) {
        if affected.is_nothing() {
            return;
        }
        let few = self.pace.few;
        let pending = self.pending.get_or_insert_with(|| Pending::new(at));
        pending.stir(at);
        if pending.distinct.len() <= few {
            pending.distinct.extend(path.map(Path::to_owned));
        }
        let touch = Touch::new(path, at);
        if affected.manifest {
            pending.manifest.get_or_insert_with(|| touch.clone()).join(&touch);
        }
        for service in affected.services {
            pending.services.entry(service).or_insert_with(|| touch.clone()).join(&touch);
        }
    }

    /// Something still goes on, though nothing else is known to be touched by it. Means nothing where
    /// nothing is pending.
    pub fn stir(&mut self, at: Instant) {
        if let Some(pending) = &mut self.pending {
            pending.stir(at);
        }
    }

    /// When it is enough, if nothing more happens.
    pub fn due(&self) -> Option<Instant> {
        let pending = self.pending.as_ref()?;
        let is_few = pending.distinct.len() <= self.pace.few;
        let rest = if is_few { self.pace.rest } else { self.pace.rest_after_many };
        Some((pending.last + rest).min(pending.first + self.pace.longest))
    }

    /// Everything that was noticed, once it is enough.
    pub fn take(&mut self, now: Instant) -> Option<Change> {
        if self.due()? > now {
            return None;
        }
        let Pending { services, manifest, first, .. } = self.pending.take()?;
        Some(Change { services, manifest, detected: first, settled: now })
    }
}

impl Pending {
    fn new(at: Instant) -> Self {
        Self { services: BTreeMap::new(), manifest: None, first: at, last: at, distinct: BTreeSet::new() }
    }

    /// Events of several folders may come in any order.
    fn stir(&mut self, at: Instant) {
        self.first = self.first.min(at);
        self.last = self.last.max(at);
    }
}

#[cfg(test)]
mod tests;
