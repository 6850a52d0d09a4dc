//! Which files of a folder are sources: what neither git nor Docker ignores, and no tool left behind.
//!
//! One definition for all who ask: the walk that a digest is made from enters and takes what these
//! rules admit, and whoever watches a folder asks them about a path that was touched.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ignore::Match;
use ignore::gitignore::Gitignore;

use super::dockerignore::{self, DockerIgnore};
use crate::model::platform::SERVICE_FILE;

/// What builds and tools leave behind; never sources, whatever the ignore files say.
const OUTPUTS: [&str; 5] = [".git", ".msctl", ".venv", "__pycache__", "node_modules"];
/// Marks a folder that can be made again (the Cache Directory Tagging convention).
const CACHE_TAG: &str = "CACHEDIR.TAG";
const GIT_IGNORE: &str = ".gitignore";

/// Whether what git ignores is left out, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Git {
    Heeded,
    Disregarded,
}

/// The ignore files of one folder, each read when it is first needed and then never again.
pub struct Rules {
    folder: PathBuf,
    git: Git,
    docker: DockerIgnore,
    /// The `.gitignore` files of the folders between the platform's and this one.
    outer: Vec<Gitignore>,
    /// What holds inside of each folder that was asked about; `None` where nothing does.
    levels: Mutex<HashMap<PathBuf, Option<Arc<Level>>>>,
}

/// The `.gitignore` of one folder, and what holds where it says nothing.
struct Level {
    ignore: Gitignore,
    above: Option<Arc<Level>>,
}

/// Whether a file of this name decides which others are sources.
pub fn is_rule(path: &Path) -> bool {
    let names = [GIT_IGNORE, dockerignore::FILE_NAME, CACHE_TAG].map(OsStr::new);
    path.file_name().is_some_and(|name| names.contains(&name))
}

impl Rules {
    /// `root` is the folder of the platform: ignore files count from there on.
    pub fn new(root: &Path, folder: &Path, docker: DockerIgnore, git: Git) -> Self {
        let above = folder.ancestors().skip(1).take_while(|ancestor| ancestor.starts_with(root));
        let outer = above.map(|ancestor| Gitignore::new(ancestor.join(GIT_IGNORE)).0).collect();
        Self { folder: folder.to_owned(), git, docker, outer, levels: Mutex::default() }
    }

    /// Whether this is a source, or a folder in which there may be some. It need not exist.
    pub fn admit(&self, path: &Path, is_folder: bool) -> bool {
        let between = path.ancestors().skip(1).take_while(|above| above.starts_with(&self.folder));
        path.starts_with(&self.folder)
            && self.admit_entry(path, is_folder)
            && between.into_iter().all(|above| self.admit_entry(above, true))
    }

    /// The same for an entry of a folder that is known to be admitted.
    pub fn admit_entry(&self, path: &Path, is_folder: bool) -> bool {
        let relative = path.strip_prefix(&self.folder).unwrap_or(path);
        let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else { return true };
        relative.as_os_str().is_empty()
            || !(OUTPUTS.iter().any(|output| name == *output)
                || is_editors_own(name)
                || is_manifest(relative)
                || self.git == Git::Heeded && self.is_ignored_by_git(path, parent, is_folder)
                || skips(&self.docker, relative, is_folder)
                || (is_folder && path.join(CACHE_TAG).exists()))
    }

    fn is_ignored_by_git(&self, path: &Path, parent: &Path, is_folder: bool) -> bool {
        self.outer.iter().any(|ignore| ignore.matched(path, is_folder).is_ignore())
            || ignored_by_git(self.level(parent), path, is_folder)
    }

    /// What holds for the entries of `folder`.
    fn level(&self, folder: &Path) -> Option<Arc<Level>> {
        if let Some(level) = self.levels.lock().unwrap_or_else(PoisonError::into_inner).get(folder) {
            return level.clone();
        }
        let parent = folder.parent().filter(|_| folder != self.folder);
        let above = parent.and_then(|parent| self.level(parent));
        let ignore = Gitignore::new(folder.join(GIT_IGNORE)).0;
        let level = if ignore.is_empty() { above } else { Some(Arc::new(Level { ignore, above })) };
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        levels.insert(folder.to_owned(), level.clone());
        level
    }
}

/// The innermost file that says anything decides.
fn ignored_by_git(mut level: Option<Arc<Level>>, path: &Path, is_folder: bool) -> bool {
    while let Some(Level { ignore, above }) = level.as_deref() {
        match ignore.matched(path, is_folder) {
            Match::Ignore(_) => return true,
            Match::Whitelist(_) => return false,
            Match::None => level = above.clone(),
        }
    }
    false
}

/// What of `service.toml` a build depends on is part of the digest by itself; a changed route or
/// number of replicas is nothing to build for.
fn is_manifest(relative: &Path) -> bool {
    relative == Path::new(SERVICE_FILE)
}

/// Folders that something may come back from are read; they are no entry of their own account.
pub fn skips(ignored: &DockerIgnore, path: &Path, is_folder: bool) -> bool {
    if is_folder { ignored.excludes_all_of(path) } else { ignored.excludes(path, false) }
}

/// What editors keep beside a file for as long as it is open: to open a file is no change of it.
fn is_editors_own(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let is_swap = name.starts_with(b".") && matches!(name, [.., b'.', b's', b'w', b'l'..=b'p' | b'x']);
    is_swap
        || name == b"4913"
        || name == b".DS_Store"
        || name.ends_with(b"~")
        || name.starts_with(b".#")
        || (name.len() > 2 && name.starts_with(b"#") && name.ends_with(b"#"))
        || name.ends_with(b"___jb_tmp___")
        || name.ends_with(b"___jb_old___")
}

#[cfg(test)]
mod tests;
