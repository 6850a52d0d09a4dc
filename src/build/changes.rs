//! What became of a service's sources while it was built, and who did it.
//!
//! That a file is another than before says nothing about whose hand it was. So: the engine's builder
//! is given a copy and can write none. For a command on this machine, a change is put down to the
//! user until it happens again *by building alone*: in two builds after each other, where nothing
//! but the first build lay between. Then it is the build's own. What remains ambiguous is a user who
//! saves the same file during two builds in a row and does nothing between them: it is taken for the
//! build, until that file changes while nothing is built.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::digest;
use super::error::BuildError;
use super::walk::{Entry, Kind};
use crate::model::name::ServiceName;

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
}

/// Which of their own sources builds write, learned from one build to the next.
#[derive(Debug, Clone, Default)]
pub struct OwnWrites {
    proven: BTreeMap<ServiceName, BTreeSet<PathBuf>>,
    suspected: BTreeMap<ServiceName, Suspicion>,
}

/// What changed during a service's last build, and what the sources were like at its end.
#[derive(Debug, Clone)]
struct Suspicion {
    changed: BTreeSet<PathBuf>,
    after: Snapshot,
}

impl OwnWrites {
    /// Takes note of a build that came to its end, and gives the files that it is now known to write
    /// itself, with those known before.
    pub fn note(&mut self, service: &ServiceName, build: &Around) -> &BTreeSet<PathBuf> {
        let proven = self.proven.entry(service.clone()).or_default();
        let changed = build.changed();
        let last = self.suspected.remove(service);
        if let Some(last) = last.filter(|last| last.after == build.before) {
            proven.extend(changed.intersection(&last.changed).cloned());
        }
        if !changed.is_empty() {
            self.suspected.insert(service.clone(), Suspicion { changed, after: build.after.clone() });
        }
        proven
    }

    /// A file changed while nothing of the service was built: it is a source like others.
    pub fn clear(&mut self, service: &ServiceName, path: &Path) {
        if let Some(proven) = self.proven.get_mut(service) {
            proven.remove(path);
        }
        self.suspected.remove(service);
    }

    /// What the service's builds are known to write.
    #[must_use]
    pub fn of(&self, service: &ServiceName) -> Option<&BTreeSet<PathBuf>> {
        self.proven.get(service).filter(|paths| !paths.is_empty())
    }
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
        assert_eq!(names(found), ["v"]);
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
        assert_eq!(names(found), ["v"]);
    }

    #[test]
    fn what_changes_while_nothing_is_built_is_no_builds_own() {
        let mut own = OwnWrites::default();
        own.note(&order(), &around(&[("v", 1)], &[("v", 2)]));
        own.note(&order(), &around(&[("v", 2)], &[("v", 3)]));
        assert_eq!(own.of(&order()).map(names), Some(vec!["v"]));
        own.clear(&order(), Path::new("v"));
        assert_eq!(own.of(&order()), None);
    }
}
