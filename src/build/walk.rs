//! The files of a folder, in one order, without ever following a link.

use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::WalkBuilder;

use super::dockerignore::DockerIgnore;
use super::error::BuildError;
use super::rules::{self, Rules};

/// One thing found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the folder.
    pub path: PathBuf,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Folder,
    File { is_executable: bool, fingerprint: Fingerprint },
    Link { target: PathBuf },
}

/// What changes when the content does: times in nanoseconds, size and identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    pub modified: i128,
    changed: i128,
    pub size: u64,
    inode: u64,
}

/// Everything in a folder that its rules admit.
pub fn sources(folder: &Path, rules: &Arc<Rules>) -> Result<Vec<Entry>, BuildError> {
    let mut walk = WalkBuilder::new(folder);
    let rules = Arc::clone(rules);
    walk.standard_filters(false);
    walk.filter_entry(move |entry| {
        let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
        rules.admit_entry(entry.path(), is_folder)
    });
    collect(&walk, folder)
}

/// The build context as Docker sees it: everything that `.dockerignore` does not leave out, and the
/// Dockerfile and that file themselves.
pub fn context(folder: &Path, ignored: DockerIgnore, kept: Vec<PathBuf>) -> Result<Vec<Entry>, BuildError> {
    let base = folder.to_owned();
    let mut walk = WalkBuilder::new(folder);
    walk.standard_filters(false);
    walk.filter_entry(move |entry| {
        let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
        let relative = entry.path().strip_prefix(&base).unwrap_or(entry.path());
        let is_kept = kept.iter().any(|kept| kept.starts_with(relative));
        relative.as_os_str().is_empty() || is_kept || !rules::skips(&ignored, relative, is_folder)
    });
    collect(&walk, folder)
}

fn collect(walk: &WalkBuilder, folder: &Path) -> Result<Vec<Entry>, BuildError> {
    let mut entries = Vec::new();
    for found in walk.build() {
        let path = match found {
            Ok(found) => found.into_path(),
            Err(error) if vanished(error.io_error()) => continue,
            Err(error) => {
                let reason = std::io::Error::other(error.to_string());
                return Err(BuildError::file("read", folder, error.into_io_error().unwrap_or(reason)));
            }
        };
        let relative = path.strip_prefix(folder).unwrap_or(&path).to_owned();
        if relative.as_os_str().is_empty() {
            continue;
        }
        match entry(&path, relative) {
            Ok(entry) => entries.extend(entry),
            Err(error) if vanished(Some(&error)) => {}
            Err(error) => return Err(BuildError::file("read", &path, error)),
        }
    }
    entries.sort_by(|a, b| a.path.as_os_str().as_bytes().cmp(b.path.as_os_str().as_bytes()));
    Ok(entries)
}

/// Editors replace files while we look; what is gone is no source, and what is something else by now (a
/// file that was a folder, a file that was a link) is told of again.
fn vanished(error: Option<&std::io::Error>) -> bool {
    use std::io::ErrorKind::{InvalidInput, NotADirectory, NotFound};
    error.is_some_and(|error| matches!(error.kind(), NotFound | NotADirectory | InvalidInput))
}

fn entry(path: &Path, relative: PathBuf) -> std::io::Result<Option<Entry>> {
    Ok(Kind::of(path)?.map(|kind| Entry { path: relative, kind }))
}

impl Kind {
    /// `None` for what is no content: sockets, pipes, devices. They are not even opened.
    pub fn of(path: &Path) -> std::io::Result<Option<Self>> {
        let metadata = std::fs::symlink_metadata(path)?;
        Ok(if metadata.is_symlink() {
            Some(Self::Link { target: std::fs::read_link(path)? })
        } else if metadata.is_dir() {
            Some(Self::Folder)
        } else if metadata.is_file() {
            let is_executable = metadata.mode() & 0o100 != 0;
            Some(Self::File { is_executable, fingerprint: fingerprint(&metadata) })
        } else {
            None
        })
    }
}

fn fingerprint(metadata: &Metadata) -> Fingerprint {
    let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    Fingerprint {
        modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
        changed: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        size: metadata.size(),
        inode: metadata.ino(),
    }
}
