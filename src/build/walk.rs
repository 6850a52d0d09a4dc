//! The files of a folder, in one order, without ever following a link.

use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;
use ignore::gitignore::Gitignore;

use super::dockerignore::DockerIgnore;
use super::error::BuildError;

/// What builds and tools leave behind; never sources, whatever the ignore files say.
const OUTPUTS: [&str; 5] = [".git", ".msctl", ".venv", "__pycache__", "node_modules"];
/// Marks a folder that can be made again (the Cache Directory Tagging convention).
const CACHE_TAG: &str = "CACHEDIR.TAG";

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

/// Everything that a service is built from: what neither git nor Docker ignores. `root` is the
/// folder of the platform: ignore files count from there on.
pub fn sources(root: &Path, folder: &Path, ignored: DockerIgnore) -> Result<Vec<Entry>, BuildError> {
    let outer = outer_ignores(root, folder);
    let base = folder.to_owned();
    let mut walk = WalkBuilder::new(folder);
    walk.standard_filters(false).git_ignore(true).require_git(false);
    walk.filter_entry(move |entry| {
        let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
        let path = entry.path();
        let by_git = outer.iter().any(|ignore| ignore.matched(path, is_folder).is_ignore());
        let is_output = OUTPUTS.iter().any(|name| entry.file_name() == *name);
        let is_cache = is_folder && path.join(CACHE_TAG).exists();
        let relative = path.strip_prefix(&base).unwrap_or(path);
        relative.as_os_str().is_empty()
            || !(by_git
                || is_output
                || is_cache
                || is_manifest(relative)
                || skips(&ignored, relative, is_folder))
    });
    collect(&walk, folder)
}

/// What of `service.toml` a build depends on is part of the digest by itself; a changed route or
/// number of replicas is nothing to build for.
fn is_manifest(relative: &Path) -> bool {
    relative == Path::new("service.toml")
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
        relative.as_os_str().is_empty() || is_kept || !skips(&ignored, relative, is_folder)
    });
    collect(&walk, folder)
}

/// Folders that something may come back from are read; they are no entry of their own account.
fn skips(ignored: &DockerIgnore, path: &Path, is_folder: bool) -> bool {
    if is_folder { ignored.excludes_all_of(path) } else { ignored.excludes(path, false) }
}

/// The `.gitignore` files of the folders between the platform's and this one.
fn outer_ignores(root: &Path, folder: &Path) -> Vec<Gitignore> {
    let above = folder.ancestors().skip(1).take_while(|ancestor| ancestor.starts_with(root));
    above.map(|ancestor| Gitignore::new(ancestor.join(".gitignore")).0).collect()
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

/// Editors replace files while we look; what is gone is no source.
fn vanished(error: Option<&std::io::Error>) -> bool {
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// `None` for what is no content: sockets, pipes, devices. They are not even opened.
fn entry(path: &Path, relative: PathBuf) -> std::io::Result<Option<Entry>> {
    let metadata = std::fs::symlink_metadata(path)?;
    let kind = if metadata.is_symlink() {
        Kind::Link { target: std::fs::read_link(path)? }
    } else if metadata.is_dir() {
        Kind::Folder
    } else if metadata.is_file() {
        Kind::File { is_executable: metadata.mode() & 0o100 != 0, fingerprint: fingerprint(&metadata) }
    } else {
        return Ok(None);
    };
    Ok(Some(Entry { path: relative, kind }))
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
