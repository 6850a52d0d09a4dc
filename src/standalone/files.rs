//! Says when one of some files has become another one.
//!
//! Files are looked at twice a second rather than watched: that works as well where they are behind
//! a link that is swapped (as a cluster does with what it mounts), on network file systems, and for
//! files that are not there yet. A change counts once the file has come to rest, so that a half
//! written one is not read.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

const PERIOD: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub struct Files {
    paths: Vec<PathBuf>,
    ticks: Interval,
    /// What was there when it was last read.
    known: Vec<Print>,
    latest: Vec<Print>,
}

impl Default for Files {
    fn default() -> Self {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { paths: Vec::new(), ticks, known: Vec::new(), latest: Vec::new() }
    }
}

/// Tells two states of a file apart.
type Print = Option<(u64, u64, i64, i64, u64)>;

impl Files {
    /// These are about to be read: what they are now is known.
    pub fn follow(&mut self, paths: Vec<PathBuf>) {
        self.latest = prints(&paths);
        self.known.clone_from(&self.latest);
        self.paths = paths;
    }

    /// From now on these are looked at; of those that were before, a change since counts.
    pub fn watch(&mut self, paths: Vec<PathBuf>) {
        let mut known = std::mem::take(&mut self.known).into_iter();
        let before: Vec<_> = std::mem::take(&mut self.paths);
        let before: Vec<_> = before.into_iter().map(|path| (path, known.next().flatten())).collect();
        self.latest = prints(&paths);
        let print = |(path, latest): (&PathBuf, &Print)| {
            before.iter().find(|(other, _)| other == path).map_or(*latest, |(_, print)| *print)
        };
        self.known = paths.iter().zip(&self.latest).map(print).collect();
        self.paths = paths;
    }

    /// Completes when one of them was changed and has come to rest.
    pub async fn changed(&mut self) {
        loop {
            // Dropped at this point, nothing is lost.
            self.ticks.tick().await;
            let found = prints(&self.paths);
            let rests = found == self.latest;
            self.latest = found;
            if rests && self.known != self.latest {
                self.known.clone_from(&self.latest);
                return;
            }
        }
    }
}

fn prints(paths: &[PathBuf]) -> Vec<Print> {
    let print = |metadata: Metadata| {
        (metadata.dev(), metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len())
    };
    // A look at an inode takes microseconds; nothing is gained by handing it to another thread.
    paths.iter().map(|path| std::fs::metadata(path).ok().map(print)).collect()
}
