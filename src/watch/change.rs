//! What may have changed, and what its reader needs to judge it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::model::name::ServiceName;

/// How many paths are kept for people to read.
const SHOWN: usize = 8;

/// One quiet moment after something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whose sources were touched.
    pub services: BTreeMap<ServiceName, Touch>,
    /// Whether the manifest, a service's own or which services there are was touched.
    pub manifest: Option<Touch>,
    /// When the first of it was noticed.
    pub detected: Instant,
    /// When it counted as complete.
    pub settled: Instant,
}

/// What happened to one service, or to the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// Empty where it is not known which: at the first look at something, or when so much happened at
    /// once that the kernel lost count; and where nothing of it has stayed.
    pub paths: Sample,
    pub first: Instant,
    pub last: Instant,
}

/// The first few, by name, of the paths that were touched, and whether there were others. So the same
/// paths give the same sample, in whatever order they were touched, unless some came and went: those may
/// have taken the place of others. Of what is in a folder that is new, the folder alone may be named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    paths: BTreeSet<PathBuf>,
    has_more: bool,
}

impl Change {
    /// Adds what happened since; so a reader who is slow misses nothing.
    pub(super) fn join(&mut self, later: Self) {
        for (service, touch) in later.services {
            match self.services.get_mut(&service) {
                Some(known) => known.join(&touch),
                None => drop(self.services.insert(service, touch)),
            }
        }
        match (&mut self.manifest, later.manifest) {
            (Some(known), Some(touch)) => known.join(&touch),
            (known @ None, touch) => *known = touch,
            (Some(_), None) => {}
        }
        self.detected = self.detected.min(later.detected);
        self.settled = self.settled.max(later.settled);
    }
}

impl Touch {
    pub(super) fn new(path: Option<&Path>, at: Instant) -> Self {
        let mut paths = Sample::default();
        if let Some(path) = path {
            paths.add(path);
        }
        Self { paths, first: at, last: at }
    }

    pub(super) fn join(&mut self, other: &Self) {
        self.paths.join(&other.paths);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

impl Sample {
    pub fn iter(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().map(PathBuf::as_path)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Whether there were more than are kept.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.has_more
    }

    fn add(&mut self, path: &Path) {
        let is_full = self.paths.len() >= SHOWN;
        if is_full && self.paths.last().is_some_and(|last| path > last) {
            self.has_more = true;
        } else if !self.paths.contains(path) {
            self.has_more |= is_full && self.paths.pop_last().is_some();
            self.paths.insert(path.to_owned());
        }
    }

    pub(super) fn forget(&mut self, path: &Path) {
        self.paths.remove(path);
    }

    fn join(&mut self, other: &Self) {
        other.paths.iter().for_each(|path| self.add(path));
        self.has_more |= other.has_more;
    }
}

#[cfg(test)]
impl Change {
    /// One of everything, whosever a path is.
    pub(super) fn paths(&self) -> Sample {
        let mut paths = Sample::default();
        for touch in self.services.values().chain(&self.manifest) {
            paths.join(&touch.paths);
        }
        paths
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn touch(paths: &[&str], at: Instant) -> Touch {
        let mut touch = Touch::new(None, at);
        for path in paths {
            touch.paths.add(Path::new(path));
        }
        touch
    }

    fn change(services: &[(&str, &[&str])], at: Instant) -> Change {
        let services = services.iter().map(|(name, paths)| (name.parse().unwrap(), touch(paths, at)));
        Change { services: services.collect(), manifest: None, detected: at, settled: at }
    }

    #[test]
    fn only_the_first_few_paths_are_kept_in_whatever_order_they_come() {
        let mut sample = Sample::default();
        let name = |number: u32| PathBuf::from(format!("{:05}", number * 7919 % 10_000));
        (0..10_000).for_each(|number| sample.add(&name(number)));
        (0..100).for_each(|number| sample.add(&name(number)));
        let kept: Vec<_> = sample.iter().map(Path::to_owned).collect();
        assert_eq!(kept, (0..8).map(|number| PathBuf::from(format!("{number:05}"))).collect::<Vec<_>>());
        assert!(sample.has_more());
    }

    #[test]
    fn two_changes_that_nobody_took_are_one_that_has_all_of_both() {
        let first = Instant::now();
        let later = first + Duration::from_secs(1);
        let mut joined = change(&[("order", &["a"]), ("mail", &["b"])], first);
        let mut second = change(&[("order", &["c"]), ("user", &["d"])], later);
        second.manifest = Some(touch(&["msctl.toml"], later));
        joined.join(second);

        let names: Vec<_> = joined.services.keys().map(ServiceName::as_str).collect();
        assert_eq!(names, ["mail", "order", "user"]);
        let order = &joined.services[&"order".parse().unwrap()];
        assert_eq!((order.first, order.last), (first, later));
        assert_eq!((joined.detected, joined.settled), (first, later));
        let paths = joined.paths();
        assert!(paths.iter().eq(["a", "b", "c", "d", "msctl.toml"].map(Path::new)), "{paths:?}");
    }
}
