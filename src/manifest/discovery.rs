//! Which folders are services: the patterns of `[platform] services`, looked up below the root.
//!
//! A pattern is a relative path in which `*` may stand for one whole component. Nothing outside of
//! the root is a service, however it is reached.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::problems::Problems;
use super::service_file::SERVICE_FILE;
use super::source::{Located, Place};

pub struct ServiceFolder {
    /// Canonical.
    pub folder: PathBuf,
    /// As it is shown, relative to the root.
    pub shown: PathBuf,
    /// The pattern that led here.
    pub named_at: Place,
}

/// The services of a platform whose folder is `root` (canonical), in the order of the patterns and
/// then of their names.
pub fn discover(root: &Path, patterns: &[Located<String>], problems: &Problems) -> Vec<ServiceFolder> {
    let mut seen = BTreeSet::new();
    let mut folders = Vec::new();
    for pattern in patterns {
        let search = Search { root, place: &pattern.place, problems };
        match steps_of(&pattern.value) {
            Ok(steps) => folders.extend(search.folders(&steps)),
            Err((fault, hint)) => {
                problems.report(&pattern.place, format!("{:?} {fault}", pattern.value), hint);
            }
        }
    }
    folders.retain(|found| seen.insert(found.folder.clone()));
    folders
}

enum Step<'a> {
    Named(&'a Path),
    Any,
}

fn steps_of(pattern: &str) -> Result<Vec<Step<'_>>, (&'static str, &'static str)> {
    let components = Path::new(pattern).components().filter(|component| *component != Component::CurDir);
    components
        .map(|component| match component {
            Component::Normal(name) if name == "*" => Ok(Step::Any),
            Component::Normal(name) if name.as_encoded_bytes().contains(&b'*') => {
                Err(("is not a pattern: \"*\" stands for a whole folder name", "for example \"services/*\""))
            }
            Component::Normal(name) => Ok(Step::Named(Path::new(name))),
            _ => Err((
                "is not a plain path below the platform's folder",
                "write a path relative to msctl.toml, without \"..\"",
            )),
        })
        .collect()
}

struct Search<'a> {
    root: &'a Path,
    place: &'a Place,
    problems: &'a Problems,
}

impl Search<'_> {
    fn folders(&self, steps: &[Step<'_>]) -> Vec<ServiceFolder> {
        let is_plain = steps.iter().all(|step| matches!(step, Step::Named(_)));
        let mut reached = vec![PathBuf::new()];
        for step in steps {
            reached = match step {
                Step::Named(name) => reached.into_iter().map(|folder| folder.join(name)).collect(),
                Step::Any => reached.iter().flat_map(|folder| self.children(folder)).collect(),
            };
        }
        if is_plain {
            self.report_missing(&reached);
        }
        reached.into_iter().filter_map(|shown| self.service_in(shown)).collect()
    }

    /// A pattern may find nothing; a folder that is named must be there.
    fn report_missing(&self, named: &[PathBuf]) {
        for shown in named {
            let folder = self.root.join(shown);
            let fault = if !folder.is_dir() {
                format!("there is no folder {:?}", shown.display().to_string())
            } else if fs::symlink_metadata(folder.join(SERVICE_FILE)).is_err() {
                format!("there is no {SERVICE_FILE} in {:?}", shown.display().to_string())
            } else {
                continue;
            };
            let hint = "create the service with `msctl new service <name>`, or leave it out here";
            self.problems.report(self.place, fault, hint);
        }
    }

    /// The folders in `parent`, by name, without hidden ones.
    fn children(&self, parent: &Path) -> Vec<PathBuf> {
        let folder = self.root.join(parent);
        if !folder.is_dir() || self.canonical_within(&folder, parent).is_none() {
            return Vec::new();
        }
        let entries = fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = entries.unwrap_or_else(|error| {
            self.report_unreadable(parent, &error);
            Vec::new()
        });
        let visible = |name: &std::ffi::OsString| !name.as_encoded_bytes().starts_with(b".");
        let mut names: Vec<_> = entries.iter().map(fs::DirEntry::file_name).filter(visible).collect();
        names.sort();
        names
            .into_iter()
            .map(|name| parent.join(name))
            .filter(|child| self.root.join(child).is_dir())
            .collect()
    }

    fn service_in(&self, shown: PathBuf) -> Option<ServiceFolder> {
        let folder = self.root.join(&shown);
        let file = folder.join(SERVICE_FILE);
        match file.try_exists() {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => {
                self.report_unreadable(&shown, &error);
                return None;
            }
        }
        let folder = self.canonical_within(&folder, &shown)?;
        self.canonical_within(&file, &shown.join(SERVICE_FILE))?;
        Some(ServiceFolder { folder, shown, named_at: self.place.clone() })
    }

    /// The path behind all links, if it is still within the platform.
    fn canonical_within(&self, path: &Path, shown: &Path) -> Option<PathBuf> {
        match path.canonicalize() {
            Ok(canonical) if canonical.starts_with(self.root) => Some(canonical),
            Ok(canonical) => {
                let message = format!(
                    "{:?} leads out of the platform's folder, to {:?}",
                    shown.display().to_string(),
                    canonical.display().to_string()
                );
                self.problems.report(self.place, message, "replace the link by the folder itself");
                None
            }
            Err(error) => {
                self.report_unreadable(shown, &error);
                None
            }
        }
    }

    fn report_unreadable(&self, shown: &Path, error: &io::Error) {
        let message = format!("{:?} cannot be read: {error}", shown.display().to_string());
        self.problems.report(self.place, message, "check its permissions");
    }
}
