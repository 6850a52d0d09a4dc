//! When it is enough: a pure function of what was noticed and of the time.
//!
//! One save is several events, a branch switch is tens of thousands. So nothing is said until there is
//! a moment of rest: hardly any after a few files that are all whole again, a short one while something
//! is missing or half written, a longer one after many. It is never waited for longer than a hard limit:
//! where something is written all the time, a report now and then is better than none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::change::{Change, Touch};
use super::ears::Kind;
use super::layout::Affected;
use crate::model::name::ServiceName;

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The rest after at most [`Pace::few`] paths, each of which was closed after it was written, or
    /// put there whole: longer than from one file to the next of those that are saved together.
    pub rest_when_whole: Duration,
    /// The same where something was removed, or is still written to: longer than an editor takes
    /// between removing the old file and putting the new one there.
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
            rest_when_whole: Duration::from_millis(10),
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
    paths: BTreeMap<PathBuf, Fate>,
}

/// What became of a file since the last report.
#[derive(Debug, Clone, Copy)]
struct Fate {
    /// Whether it came only since.
    is_new: bool,
    /// Neither gone nor in the making.
    is_whole: bool,
}

impl Quiet {
    pub fn new(pace: Pace) -> Self {
        Self { pace, pending: None }
    }

    /// Something was touched; which path is not always known. A file that comes and goes, such as the
    /// one that an editor writes first and renames then, is not named.
    pub fn note(&mut self, affected: Affected, path: Option<(&Path, Kind)>, at: Instant) {
        if affected.is_nothing() {
            return;
        }
        let few = self.pace.few;
        let pending = self.pending.get_or_insert_with(|| Pending::new(at));
        pending.stir(at);
        let path = path.filter(|(path, kind)| !pending.passes(path, *kind));
        if let Some((path, kind)) = path {
            pending.see(path, kind, few);
        }
        let touch = Touch::new(path.map(|(path, _)| path), at);
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
        let rest = if pending.paths.len() > self.pace.few {
            self.pace.rest_after_many
        } else if pending.paths.values().all(|fate| fate.is_whole) {
            self.pace.rest_when_whole
        } else {
            self.pace.rest
        };
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
        Self { services: BTreeMap::new(), manifest: None, first: at, last: at, paths: BTreeMap::new() }
    }

    /// Whether this is the end of what came only since; then it is forgotten.
    fn passes(&mut self, path: &Path, kind: Kind) -> bool {
        let passes = kind == Kind::Left && self.paths.get(path).is_some_and(|fate| fate.is_new);
        if passes {
            self.paths.remove(path);
            let touches = self.services.values_mut().chain(&mut self.manifest);
            touches.for_each(|touch| touch.paths.forget(path));
        }
        passes
    }

    fn see(&mut self, path: &Path, kind: Kind, few: usize) {
        let is_whole = kind.is_whole();
        if let Some(fate) = self.paths.get_mut(path) {
            fate.is_whole = is_whole;
        } else if self.paths.len() <= few {
            self.paths.insert(path.to_owned(), Fate { is_new: kind.is_beginning(), is_whole });
        }
    }

    /// Events of several folders may come in any order.
    fn stir(&mut self, at: Instant) {
        self.first = self.first.min(at);
        self.last = self.last.max(at);
    }
}

#[cfg(test)]
mod tests;
