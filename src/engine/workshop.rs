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

/// Shared by all plans of an engine.
pub struct Workshop {
    benches: Semaphore,
    learned: Mutex<Learned>,
}

#[derive(Default)]
struct Learned {
    own_writes: OwnWrites,
    /// When the last build of each service was under way; without an end while it is.
    builds: BTreeMap<ServiceName, (Instant, Option<Instant>)>,
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
        self.learned().builds.insert(name.clone(), (Instant::now(), None));
        let made = builder.make(&service.spec, &service.digest, output).await;
        let mut learned = self.learned();
        if let Some((_, end)) = learned.builds.get_mut(name) {
            *end = Some(Instant::now());
        }
        let made = made?;
        let own_writes = learned.own_writes.note(name, &made.sources);
        let relative = |path: &PathBuf| path.strip_prefix(&service.spec.folder).unwrap_or(path).to_owned();
        Ok(Piece { own_writes: own_writes.iter().map(relative).collect(), made })
    }

    /// A file of a service was written at this time. If nothing was being built then, it is nothing that
    /// builds alone write.
    pub fn saved(&self, service: &ServiceName, path: &Path, at: Instant) {
        let mut learned = self.learned();
        let is_a_builds = learned
            .builds
            .get(service)
            .is_some_and(|(begun, end)| at >= *begun && end.is_none_or(|end| at <= end + LATE_WORD));
        if !is_a_builds {
            learned.own_writes.clear(service, path);
        }
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        // Changed by single inserts: a panic elsewhere leaves nothing half-done.
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
