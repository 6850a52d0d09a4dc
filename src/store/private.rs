//! Folders and files that only their owner can read.
//!
//! Nothing here follows a symbolic link in the last place of a path, and nothing quietly repairs
//! permissions that somebody widened: what was readable may have been read, so its owner is told.

use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};

/// Why a path is not private, or could not be made so.
#[derive(Debug, thiserror::Error)]
pub enum PrivacyError {
    #[error("{} is open to other users (mode {mode:04o}); hint: chmod {wanted:o} {}", path.display(), path.display())]
    OpenToOthers { path: PathBuf, mode: u32, wanted: u32 },
    #[error("{} belongs to another user (id {owner}); hint: run msctl as that user", path.display())]
    ForeignOwner { path: PathBuf, owner: u32 },
    #[error("{} is not a {expected}", path.display())]
    WrongKind { path: PathBuf, expected: &'static str },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl PrivacyError {
    fn io(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |source| Self::Io { path: path.to_owned(), source }
    }

    /// Whether the path simply does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Makes `folder` (and its parents) with mode 0700, or checks that an existing one is private.
/// Answers its canonical path.
pub fn ensure_folder(folder: &Path) -> Result<PathBuf, PrivacyError> {
    let failed = PrivacyError::io(folder);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(&failed)?;
    let handle = open(folder, OFlags::RDONLY | OFlags::DIRECTORY)?;
    check(folder, &handle, 0o700)?;
    folder.canonicalize().map_err(&failed)
}

/// Opens an existing private file for reading.
pub fn open_file(path: &Path) -> Result<File, PrivacyError> {
    // NONBLOCK: a named pipe planted here must not hold us for ever.
    let file = open(path, OFlags::RDONLY | OFlags::NONBLOCK)?;
    check(path, &file, 0o600)?;
    Ok(file)
}

/// Makes an empty file with mode 0600, or checks that an existing one is private.
pub fn ensure_file(path: &Path) -> Result<(), PrivacyError> {
    let file = open(path, OFlags::RDWR | OFlags::CREATE | OFlags::NONBLOCK)?;
    check(path, &file, 0o600)
}

/// Waits until no other process holds this folder's lock, and holds it until the answer is dropped.
/// The kernel lets go of it when its holder dies.
pub fn lock_folder(folder: &Path) -> Result<File, PrivacyError> {
    let handle = open(folder, OFlags::RDONLY | OFlags::DIRECTORY)?;
    rustix::fs::flock(&handle, FlockOperation::LockExclusive)
        .map_err(|errno| PrivacyError::io(folder)(errno.into()))?;
    Ok(handle)
}

fn open(path: &Path, flags: OFlags) -> Result<File, PrivacyError> {
    let mode = Mode::from_raw_mode(0o600);
    rustix::fs::open(path, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, mode)
        .map(File::from)
        .map_err(|errno| PrivacyError::io(path)(errno.into()))
}

fn check(path: &Path, handle: &File, wanted: u32) -> Result<(), PrivacyError> {
    let metadata = handle.metadata().map_err(PrivacyError::io(path))?;
    let path = path.to_owned();
    let mode = metadata.mode() & 0o7777;
    let (is_expected, expected) =
        if wanted == 0o700 { (metadata.is_dir(), "folder") } else { (metadata.is_file(), "regular file") };
    if !is_expected {
        return Err(PrivacyError::WrongKind { path, expected });
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(PrivacyError::ForeignOwner { path, owner: metadata.uid() });
    }
    if mode & 0o077 != 0 {
        return Err(PrivacyError::OpenToOthers { path, mode, wanted });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode_of(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_private() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("a/b");
        let file = folder.join("f");
        ensure_folder(&folder).unwrap();
        ensure_file(&file).unwrap();
        assert_eq!((mode_of(&folder), mode_of(&file)), (0o700, 0o600));
        assert!(ensure_folder(&folder).is_ok() && ensure_file(&file).is_ok() && open_file(&file).is_ok());
    }

    #[test]
    fn what_is_open_to_others_is_refused_with_the_command_that_closes_it() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("f");
        ensure_file(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let expected = format!("{0} is open to other users (mode 0644); hint: chmod 600 {0}", path.display());
        assert_eq!(open_file(&path).unwrap_err().to_string(), expected);
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let scratch = tempfile::tempdir().unwrap();
        let target = scratch.path().join("target");
        ensure_file(&target).unwrap();
        ensure_folder(&scratch.path().join("d")).unwrap();
        for (name, aim) in [("file", "target"), ("folder", "d"), ("dangling", "nowhere")] {
            symlink(scratch.path().join(aim), scratch.path().join(name)).unwrap();
        }
        assert!(open_file(&scratch.path().join("file")).is_err());
        assert!(ensure_file(&scratch.path().join("dangling")).is_err());
        assert!(!scratch.path().join("nowhere").exists());
        assert!(ensure_folder(&scratch.path().join("folder")).is_err());
    }

    #[test]
    fn a_planted_pipe_is_refused_at_once() {
        let scratch = tempfile::tempdir().unwrap();
        let pipe = scratch.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        assert!(matches!(open_file(&pipe), Err(PrivacyError::WrongKind { .. })));
    }
}
