//! What became of a service's sources while it was built, and who did it.
//!
//! That a file is another than before says nothing about whose hand it was. So: the engine's builder
//! is given a copy and can write none. For a command on this machine, a change is put down to the
//! user until it happens again *by building alone*: in two builds after each other, where nothing
//! but the first build lay between. Then it is the build's own. What remains ambiguous is a user who
//! saves the same file during two builds in a row and does nothing between them: it is taken for the
//! build, until that file changes while nothing is built.
//!
//! A file that has another name each time ([`Series`]) is known by what its names have in common. Where they
//! have nothing in common, builds that give reason for each other are let go on for a while, as somebody may
//! be adding files, and then what builds add is their own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::digest;
use super::error::BuildError;
use super::series::Series;
use super::walk::{Entry, Kind};
use crate::model::name::ServiceName;

/// After how many builds in a row that add files of whatever names they would go on for ever.
const ENDLESS: usize = 5;

/// The sources of a service at one time, by their paths and contents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<PathBuf, Content>);

/// What makes one file differ from another.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    File { digest: [u8; 32], is_executable: bool },
    Link { target: PathBuf },
}

impl Snapshot {
    /// Reads only what was not read before. Folders are nothing.
    pub fn take(folders: &[(PathBuf, Vec<Entry>)]) -> Result<Self, BuildError> {
        let mut contents = BTreeMap::new();
        for (folder, entry) in folders.iter().flat_map(|(folder, all)| all.iter().map(move |it| (folder, it)))
        {
            let path = folder.join(&entry.path);
            let content = match &entry.kind {
                Kind::Folder => continue,
                Kind::Link { target } => Content::Link { target: target.clone() },
                Kind::File { is_executable, fingerprint } => {
                    let Some(digest) = digest::content(&path, *fingerprint)? else { continue };
                    Content::File { digest, is_executable: *is_executable }
                }
            };
            contents.insert(path, content);
        }
        Ok(Self(contents))
    }

    /// The files that are others in `later`, or only in one of them.
    #[must_use]
    pub fn changed(&self, later: &Self) -> BTreeSet<PathBuf> {
        let paths = self.0.keys().chain(later.0.keys());
        paths.filter(|path| self.0.get(*path) != later.0.get(*path)).cloned().collect()
    }
}

/// A service's sources around one build of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Around {
    pub before: Snapshot,
    pub after: Snapshot,
}

impl Around {
    /// What changed meanwhile, by whoever's hand.
    #[must_use]
    pub fn changed(&self) -> BTreeSet<PathBuf> {
        self.before.changed(&self.after)
    }

    /// What is there only since.
    #[must_use]
    pub fn added(&self) -> BTreeSet<PathBuf> {
        let after = self.after.0.keys();
        after.filter(|path| !self.before.0.contains_key(*path)).cloned().collect()
    }
}

/// Files that a service's builds write themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    paths: BTreeSet<PathBuf>,
    /// Of which each build writes another one.
    series: BTreeSet<Series>,
}

/// Which of their own sources builds write, learned from one build to the next.
#[derive(Debug, Clone, Default)]
pub struct OwnWrites {
    proven: BTreeMap<ServiceName, Written>,
    suspected: BTreeMap<ServiceName, Suspicion>,
    /// Services whose builds write files of ever new names that have nothing in common.
    endless: BTreeSet<ServiceName>,
}

/// What changed during a service's last build, and what the sources were like at its end.
#[derive(Debug, Clone)]
struct Suspicion {
    changed: BTreeSet<PathBuf>,
    /// Those of them that were not there before.
    added: BTreeSet<PathBuf>,
    after: Snapshot,
    /// How many builds in a row, nothing but them, have added something.
    rounds: usize,
}

impl Written {
    #[must_use]
    pub fn contains(&self, path: &Path) -> bool {
        self.paths.contains(path) || self.series.iter().any(|series| series.holds(path))
    }

    fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.series.is_empty()
    }

    /// Adds what is not in it yet, and gives that.
    fn add(&mut self, series: BTreeSet<Series>, mut paths: BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
        let mut news: BTreeSet<PathBuf> = series.difference(&self.series).map(Series::path).collect();
        self.series.extend(series);
        paths.retain(|path| !self.contains(path));
        news.extend(paths.iter().cloned());
        self.paths.extend(paths);
        news
    }
}

impl FromIterator<PathBuf> for Written {
    fn from_iter<T: IntoIterator<Item = PathBuf>>(paths: T) -> Self {
        Self { paths: paths.into_iter().collect(), series: BTreeSet::new() }
    }
}

impl OwnWrites {
    /// Takes note of a build that came to its end, and gives the files that it is only now known to write
    /// itself; for those whose names differ from build to build, what their names have in common.
    pub fn note(&mut self, service: &ServiceName, build: &Around) -> BTreeSet<PathBuf> {
        let (changed, added) = (build.changed(), build.added());
        let last = self.suspected.remove(service).filter(|last| last.after == build.before);
        let rounds = last.as_ref().map_or(0, |last| last.rounds) + 1;
        let proven = self.proven.entry(service.clone()).or_default();
        let mut news = match &last {
            Some(last) => {
                let again = changed.intersection(&last.changed).cloned().collect();
                proven.add(series_of(&added).intersection(&series_of(&last.added)).cloned().collect(), again)
            }
            None => BTreeSet::new(),
        };
        if self.endless.contains(service) {
            // It was told already, with the first of them.
            proven.paths.extend(added.iter().cloned());
        } else if rounds >= ENDLESS && !added.is_empty() {
            self.endless.insert(service.clone());
            news.extend(proven.add(BTreeSet::new(), added.clone()));
        }
        if !changed.is_empty() {
            let rounds = if added.is_empty() { 0 } else { rounds };
            self.suspected
                .insert(service.clone(), Suspicion { changed, added, after: build.after.clone(), rounds });
        }
        news
    }

    /// A file changed while nothing of the service was built: it is a source like others.
    pub fn clear(&mut self, service: &ServiceName, path: &Path) {
        if let Some(proven) = self.proven.get_mut(service).filter(|proven| proven.contains(path)) {
            proven.paths.remove(path);
            proven.series.retain(|series| !series.holds(path));
            self.endless.remove(service);
        }
        self.suspected.remove(service);
    }

    /// What the service's builds are known to write.
    #[must_use]
    pub fn of(&self, service: &ServiceName) -> Option<&Written> {
        self.proven.get(service).filter(|written| !written.is_empty())
    }
}

fn series_of(paths: &BTreeSet<PathBuf>) -> BTreeSet<Series> {
    paths.iter().filter_map(|path| Series::of(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> ServiceName {
        "order".parse().unwrap()
    }

    /// Files with one digit each for their content.
    fn sources(files: &[(&str, u8)]) -> Snapshot {
        let content = |&(path, digit): &(&str, u8)| {
            (path.into(), Content::File { digest: [digit; 32], is_executable: false })
        };
        Snapshot(files.iter().map(content).collect())
    }

    fn around(before: &[(&str, u8)], after: &[(&str, u8)]) -> Around {
        Around { before: sources(before), after: sources(after) }
    }

    fn names(paths: &BTreeSet<PathBuf>) -> Vec<&str> {
        paths.iter().map(|path| path.to_str().unwrap()).collect()
    }

    #[test]
    fn what_was_changed_made_and_removed_is_told() {
        let found = around(&[("a", 1), ("b", 1), ("c", 1)], &[("a", 1), ("b", 2), ("d", 1)]).changed();
        assert_eq!(names(&found), ["b", "c", "d"]);
    }

    #[test]
    fn a_file_that_every_build_writes_is_its_own_after_the_second() {
        let mut own = OwnWrites::default();
        assert!(own.note(&order(), &around(&[("a", 1), ("v", 1)], &[("a", 1), ("v", 2)])).is_empty());
        let found = own.note(&order(), &around(&[("a", 1), ("v", 2)], &[("a", 1), ("v", 3)]));
        assert_eq!(names(&found), ["v"]);
    }

    #[test]
    fn a_save_during_a_build_is_the_users() {
        let mut own = OwnWrites::default();
        own.note(&order(), &around(&[("a", 1)], &[("a", 2)]));
        assert!(own.note(&order(), &around(&[("a", 2)], &[("a", 2)])).is_empty(), "the next build is quiet");
        assert!(
            own.note(&order(), &around(&[("a", 2)], &[("a", 3)])).is_empty(),
            "and the one after it is the first"
        );
        assert!(
            own.note(&order(), &around(&[("a", 4)], &[("a", 5)])).is_empty(),
            "saved between the builds, too"
        );
    }

    #[test]
    fn of_two_files_that_changed_only_the_one_that_changes_again_is_its_own() {
        let mut own = OwnWrites::default();
        own.note(&order(), &around(&[("a", 1), ("v", 1)], &[("a", 2), ("v", 2)]));
        let found = own.note(&order(), &around(&[("a", 2), ("v", 2)], &[("a", 2), ("v", 3)]));
        assert_eq!(names(&found), ["v"]);
    }

    #[test]
    fn what_changes_while_nothing_is_built_is_no_builds_own() {
        let mut own = OwnWrites::default();
        own.note(&order(), &around(&[("v", 1)], &[("v", 2)]));
        own.note(&order(), &around(&[("v", 2)], &[("v", 3)]));
        assert!(own.of(&order()).unwrap().contains(Path::new("v")));
        own.clear(&order(), Path::new("v"));
        assert_eq!(own.of(&order()), None);
    }

    #[test]
    fn files_that_have_another_number_each_time_are_told_as_one_after_the_second() {
        let mut own = OwnWrites::default();
        assert!(own.note(&order(), &around(&[("a", 1)], &[("a", 1), ("out-8.txt", 1)])).is_empty());
        let both = [("a", 1), ("out-8.txt", 1), ("out-9.txt", 1)];
        assert_eq!(names(&own.note(&order(), &around(&both[..2], &both))), ["out-*.txt"]);
        let written = own.of(&order()).unwrap().clone();
        assert!(written.contains(Path::new("out-10.txt")) && !written.contains(Path::new("a")));
        own.clear(&order(), Path::new("out-9.txt"));
        assert_eq!(own.of(&order()), None, "somebody writes them by hand");
    }

    #[test]
    fn one_that_takes_the_place_of_the_one_before_is_told_as_one_too() {
        let mut own = OwnWrites::default();
        own.note(&order(), &around(&[("v1", 1)], &[("v2", 1)]));
        assert_eq!(names(&own.note(&order(), &around(&[("v2", 1)], &[("v3", 1)]))), ["v*"]);
    }

    /// Builds after each other, each of which adds the next of these; what is told after each.
    fn adding(own: &mut OwnWrites, names_of_files: &[&str]) -> Vec<usize> {
        let files: Vec<(&str, u8)> = names_of_files.iter().map(|name| (*name, 1)).collect();
        let known =
            |own: &OwnWrites, name: &str| own.of(&order()).is_some_and(|it| it.contains(Path::new(name)));
        let mut told = Vec::new();
        for end in 1..=files.len() {
            let seen = |own: &OwnWrites, files: &[(&str, u8)]| {
                let files: Vec<_> = files.iter().filter(|(name, _)| !known(own, name)).copied().collect();
                sources(&files)
            };
            let build = Around { before: seen(own, &files[..end - 1]), after: seen(own, &files[..end]) };
            told.push(own.note(&order(), &build).len());
        }
        told
    }

    #[test]
    fn builds_that_add_files_of_whatever_names_come_to_rest_and_are_told_once() {
        let mut own = OwnWrites::default();
        let told = adding(&mut own, &["kim", "bo", "lea", "joe", "ann", "max", "ida"]);
        assert_eq!(told, [0, 0, 0, 0, 1, 0, 0]);
        assert!(["ann", "max", "ida"].iter().all(|name| own.of(&order()).unwrap().contains(Path::new(name))));
    }

    #[test]
    fn somebody_who_adds_a_few_files_while_it_is_built_is_no_build() {
        let mut own = OwnWrites::default();
        assert_eq!(adding(&mut own, &["kim", "bo", "lea", "joe"]), [0, 0, 0, 0]);
        own.clear(&order(), Path::new("src"));
        assert_eq!(adding(&mut own, &["kim", "bo", "lea", "joe"]), [0, 0, 0, 0], "it begins anew");
        assert_eq!(own.of(&order()), None);
    }
}
