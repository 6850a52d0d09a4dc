//! Where services are built: how many at a time, and what is learned from one build for the next.
//!
//! Not here: what has to be built, and what becomes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::build::{BuildError, Builder, Made, OwnWrites};
use crate::model::desired::DesiredService;
use crate::model::name::ServiceName;
use crate::model::platform::Platform;
use crate::runtime::{OutputSink, Runtime};

/// Builds are bound by processors and by the builders' own locks: two at a time.
const PARALLEL_BUILDS: usize = 2;

/// How late the system may tell of what a build wrote.
const LATE_WORD: Duration = Duration::from_millis(500);

/// After how many builds in a row that were given up the next one comes to its end: who saves without end
/// is to see something of it, and a build that is a reason for the next one by what it writes is only known
/// by its end.
const ENOUGH: usize = 4;

/// Shared by all plans of an engine.
pub struct Workshop {
    benches: Semaphore,
    learned: Mutex<Learned>,
}

#[derive(Default)]
struct Learned {
    own_writes: OwnWrites,
    builds: BTreeMap<ServiceName, Builds>,
}

/// When the last two builds of a service were under way: word of what one wrote may come during the next.
#[derive(Debug, Default)]
struct Builds {
    latest: Option<Span>,
    before: Option<Span>,
    /// How many in a row were given up.
    given_up: usize,
}

/// Without an end while it is under way.
#[derive(Debug, Clone, Copy)]
struct Span {
    begun: Instant,
    ended: Option<Instant>,
}

impl Builds {
    fn begin(&mut self, now: Instant) {
        self.before = self.latest.replace(Span { begun: now, ended: None });
    }

    /// As given up, until it is known better.
    fn end(&mut self, now: Instant) {
        self.latest.iter_mut().for_each(|span| span.ended = Some(now));
        self.given_up += 1;
    }

    /// It came to its end. What changed meanwhile would have been a reason to give it up.
    fn complete(&mut self, has_changed: bool) {
        self.given_up = if has_changed { self.given_up - 1 } else { 0 };
    }

    /// Whether a file that was written at this time may be what a build wrote.
    fn may_have_written(&self, at: Instant) -> bool {
        let covers = |span: &Span| at >= span.begun && span.ended.is_none_or(|ended| at <= ended + LATE_WORD);
        self.latest.iter().chain(&self.before).any(covers)
    }
}

/// A build under way. However it ends, that is noted.
struct UnderWay<'w> {
    workshop: &'w Workshop,
    service: &'w ServiceName,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(builds) = self.workshop.learned().builds.get_mut(self.service) {
            builds.end(Instant::now());
        }
    }
}

/// What came of a build.
pub struct Piece {
    pub made: Made,
    /// Files that are only now known to be written by the service's own builds (`out-*.txt` where each build
    /// writes another one), relative to its folder where they are in there.
    pub own_writes: BTreeSet<PathBuf>,
}

impl Default for Workshop {
    fn default() -> Self {
        Self { benches: Semaphore::new(PARALLEL_BUILDS), learned: Mutex::default() }
    }
}

impl Workshop {
    /// The builder for a platform as its manifest stands now.
    pub fn builder(&self, platform: &Platform, runtime: &Arc<dyn Runtime>) -> Builder {
        let (id, root) = (platform.id.clone(), platform.root.clone());
        let builder = Builder::new(id, root, platform.image_aliases.clone(), Arc::clone(runtime));
        let learned = self.learned();
        platform.services.keys().fold(builder, |builder, service| match learned.own_writes.of(service) {
            Some(written) => builder.ignoring(service, written),
            None => builder,
        })
    }

    /// Builds a service once there is room. Dropping the future ends the build.
    pub async fn make(
        &self,
        builder: &Builder,
        service: &DesiredService,
        output: OutputSink<'_>,
    ) -> Result<Piece, BuildError> {
        let _bench = self.benches.acquire().await;
        let name = &service.spec.name;
        let under_way = self.begin(name);
        let made = builder.make(&service.spec, &service.digest, output).await;
        drop(under_way);
        let mut learned = self.learned();
        let has_changed = made.as_ref().is_ok_and(|made| made.sources.before != made.sources.after);
        learned.builds.entry(name.clone()).or_default().complete(has_changed);
        let made = made?;
        let own_writes = learned.own_writes.note(name, &made.sources);
        let relative = |path: &PathBuf| path.strip_prefix(&service.spec.folder).unwrap_or(path).to_owned();
        Ok(Piece { own_writes: own_writes.iter().map(relative).collect(), made })
    }

    fn begin<'w>(&'w self, service: &'w ServiceName) -> UnderWay<'w> {
        self.learned().builds.entry(service.clone()).or_default().begin(Instant::now());
        UnderWay { workshop: self, service }
    }

    /// Whether the build of a service comes to its end, even if something newer is wanted.
    pub fn insists(&self, service: &ServiceName) -> bool {
        self.learned().builds.get(service).is_some_and(|builds| builds.given_up >= ENOUGH)
    }

    /// A file of a service was written at this time. If nothing was being built then, it is nothing that
    /// builds alone write.
    pub fn saved(&self, service: &ServiceName, path: &Path, at: Instant) {
        let mut learned = self.learned();
        let is_a_builds = learned.builds.get(service).is_some_and(|builds| builds.may_have_written(at));
        if !is_a_builds {
            learned.own_writes.clear(service, path);
        }
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        // Changed by single inserts: a panic elsewhere leaves nothing half-done.
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_build_before_wrote_is_told_of_during_the_next_one() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut builds = Builds::default();
        assert!(!builds.may_have_written(at(0)));
        for begun in [100, 1_000] {
            builds.begin(at(begun));
            builds.end(at(begun + 300));
            builds.complete(true);
        }
        builds.begin(at(1_310));
        let answers = [50, 450, 901, 999, 1_305, 2_000].map(|millis| builds.may_have_written(at(millis)));
        assert_eq!(
            answers,
            [false, false, false, false, true, true],
            "the one before the last is too long ago"
        );
    }

    #[test]
    fn after_some_builds_that_were_given_up_one_comes_to_its_end_as_long_as_something_changes_in_it() {
        let (workshop, order) = (Workshop::default(), "order".parse().unwrap());
        let complete = |has_changed| {
            drop(workshop.begin(&order));
            workshop.learned().builds.get_mut(&order).unwrap().complete(has_changed);
        };
        for _ in 0..ENOUGH {
            assert!(!workshop.insists(&order));
            drop(workshop.begin(&order));
        }
        assert!(workshop.insists(&order));
        complete(true);
        assert!(workshop.insists(&order));
        complete(false);
        assert!(!workshop.insists(&order));
    }
}
