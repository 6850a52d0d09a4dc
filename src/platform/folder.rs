//! Where a platform keeps its state on this machine, and the lock that makes its process the only one.
//!
//! Everything in it but accounts, keys, data and the history can be thrown away: what runs is found
//! again by its labels.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::model::name::{PlatformId, Worktree};

#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error(
        "no folder for the state of platforms: neither MSCTL_STATE_DIR, XDG_STATE_HOME nor a home folder is known"
    )]
    NoHome,
    #[error("cannot {what} {path}: {source}")]
    File { what: &'static str, path: PathBuf, source: std::io::Error },
    /// Another process holds the lock. `holder` is what it wrote there.
    #[error("the platform is being run by another msctl{}", holder.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Locked { holder: Option<u32> },
}

/// A platform's own state folder, 0700.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateFolder {
    path: PathBuf,
}

/// Held for as long as this lives; the kernel releases it when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// The lock of another process, which is this one's as soon as that lets go of it: it belongs to
    /// the open file, which both have.
    #[must_use]
    pub fn inherit(file: OwnedFd) -> Self {
        Self { file: file.into() }
    }

    /// Writes down that this process holds it.
    pub fn sign(&self) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all_at(std::process::id().to_string().as_bytes(), 0)
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl StateFolder {
    /// The folder of a platform below `base`; made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(base: &Path, platform: &PlatformId) -> Result<Self, FolderError> {
        let path = base.join(platform.to_string());
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|source| FolderError::File {
            what: "make the state folder",
            path: path.clone(),
            source,
        })?;
        Ok(Self { path })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that it shares with those of other platforms.
    #[must_use]
    pub fn base(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// The admin socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path.join("admin.sock")
    }

    /// Where another process may ask for the platform's sockets. No longer than the admin socket, so that
    /// where one can be, the other can.
    #[must_use]
    pub fn post(&self) -> PathBuf {
        self.path.join("next.sock")
    }

    /// Keys, accounts.
    #[must_use]
    pub fn auth(&self) -> PathBuf {
        self.path.join("auth")
    }

    /// Logs, exit records and data of the process runtime.
    #[must_use]
    pub fn process(&self) -> PathBuf {
        self.path.join("process")
    }

    /// The output of instances that failed.
    #[must_use]
    pub fn failures(&self) -> PathBuf {
        self.path.join("failures")
    }

    /// Deletes that: what services print may hold their data.
    ///
    /// # Errors
    /// When it is there still.
    pub fn delete_failures(&self) -> Result<(), FolderError> {
        let path = self.failures();
        match std::fs::remove_dir_all(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(FolderError::File { what: "delete", path, source })
            }
            _ => Ok(()),
        }
    }

    /// One line for each request that the gateway answered; an older part of it ends with `.1`.
    #[must_use]
    pub fn access_log(&self) -> PathBuf {
        self.path.join("access.log")
    }

    /// What became of each generation of each service.
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.path.join("history/deployments.db")
    }

    /// What a detached platform process prints.
    #[must_use]
    pub fn platform_log(&self) -> PathBuf {
        self.path.join("platform.log")
    }

    /// Notes where the platform runs, so that what it left there is not overlooked once that place
    /// does not answer. Nothing else depends on it.
    pub fn remember_runtime(&self, runtime: &str) {
        if self.ran_on(runtime) {
            return;
        }
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(self.runtime_file());
        if let Err(error) = file.and_then(|mut file| writeln!(file, "{runtime}")) {
            tracing::warn!(%error, "could not note the runtime");
        }
    }

    /// Forgets them all: nothing is left anywhere.
    pub fn forget_runtimes(&self) {
        // Not being there is just as good.
        let _ = std::fs::remove_file(self.runtime_file());
    }

    /// Whether the platform ran there and has not been taken down since.
    #[must_use]
    pub fn ran_on(&self, runtime: &str) -> bool {
        let noted = std::fs::read_to_string(self.runtime_file()).unwrap_or_default();
        noted.lines().any(|line| line == runtime)
    }

    /// Notes a port that is this platform's own. Without it another one may be found the next time.
    pub fn remember_port(&self, port: u16) {
        if let Err(error) = std::fs::write(self.port_file(), port.to_string()) {
            tracing::warn!(%error, "could not note the port");
        }
    }

    /// The port that was noted.
    #[must_use]
    pub fn own_port(&self) -> Option<u16> {
        let noted = std::fs::read_to_string(self.port_file()).ok()?;
        noted.trim().parse().ok().filter(|port| *port != 0)
    }

    fn port_file(&self) -> PathBuf {
        self.path.join("port")
    }

    fn runtime_file(&self) -> PathBuf {
        self.path.join("runtime")
    }

    fn lock_file(&self) -> PathBuf {
        self.path.join("lock")
    }

    /// Takes the lock, without waiting.
    ///
    /// # Errors
    /// [`FolderError::Locked`] when another process has it.
    pub fn lock(&self) -> Result<Lock, FolderError> {
        let path = self.lock_file();
        let failed = |what| move |source| FolderError::File { what, path: self.lock_file(), source };
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed("open the lock"))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(FolderError::Locked { holder: read_holder(&mut file) });
            }
            Err(error) => return Err(failed("lock")(error.into())),
        }
        let lock = Lock { file };
        lock.sign().map_err(failed("write to the lock"))?;
        Ok(lock)
    }
}

fn read_holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Whether this process runs another platform that keeps its state beside `folder`.
#[must_use]
pub fn is_held_by(folder: &StateFolder, pid: u32) -> bool {
    let entries = std::fs::read_dir(folder.base()).into_iter().flatten().filter_map(Result::ok);
    let mut others = entries.map(|entry| StateFolder { path: entry.path() }).filter(|other| other != folder);
    // The number in a lock that nobody holds may be anybody's by now.
    others.any(|other| {
        let Ok(mut file) = File::open(other.lock_file()) else { return false };
        read_holder(&mut file) == Some(pid)
            && flock(&file, FlockOperation::NonBlockingLockShared).err()
                == Some(rustix::io::Errno::WOULDBLOCK)
    })
}

/// The platforms that have state below `base` and are of this checkout, under whatever name.
#[must_use]
pub fn of_worktree(base: &Path, worktree: &Worktree) -> Vec<PlatformId> {
    let entries = std::fs::read_dir(base).into_iter().flatten().filter_map(Result::ok);
    let names = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        name.strip_suffix(worktree.as_str())?.strip_suffix('-')?.parse().ok()
    });
    names.map(|name| PlatformId { name, worktree: worktree.clone() }).collect()
}

/// The folder below which every platform keeps its state: `explicit` (from `MSCTL_STATE_DIR`), else
/// `$XDG_STATE_HOME/msctl`, else `~/.local/state/msctl`.
///
/// # Errors
/// [`FolderError::NoHome`] when none of them is known.
pub fn base(explicit: Option<&Path>, xdg_state_home: Option<&Path>) -> Result<PathBuf, FolderError> {
    if let Some(explicit) = explicit {
        return Ok(explicit.to_owned());
    }
    // The XDG specification: a relative path there is invalid and to be ignored.
    if let Some(xdg) = xdg_state_home.filter(|path| path.is_absolute()) {
        return Ok(xdg.join("msctl"));
    }
    // Asks the user database where HOME is not set.
    let home = std::env::home_dir().filter(|home| home.is_absolute());
    home.map(|home| home.join(".local/state/msctl")).ok_or(FolderError::NoHome)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(base: &Path) -> StateFolder {
        let worktree = crate::model::name::Worktree::from_hex("abcdef").unwrap();
        StateFolder::open(base, &PlatformId { name: "store".parse().unwrap(), worktree }).unwrap()
    }

    #[test]
    fn the_lock_is_held_by_one_and_names_its_holder() {
        let base = tempfile::tempdir().unwrap();
        let folder = folder(base.path());
        let lock = folder.lock().unwrap();
        let refused = folder.lock().unwrap_err();
        assert!(
            matches!(refused, FolderError::Locked { holder: Some(pid) } if pid == std::process::id()),
            "{refused}"
        );
        drop(lock);
        folder.lock().unwrap();
    }

    #[test]
    fn a_lock_file_left_by_a_dead_process_is_no_lock() {
        let base = tempfile::tempdir().unwrap();
        let folder = folder(base.path());
        std::fs::write(folder.lock_file(), std::process::id().to_string()).unwrap();
        folder.lock().unwrap();
    }

    #[test]
    fn the_state_folder_is_closed_to_others() {
        use std::os::unix::fs::PermissionsExt;
        let base = tempfile::tempdir().unwrap();
        let mode = std::fs::metadata(folder(base.path()).path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn an_explicit_folder_wins_and_a_relative_xdg_folder_is_ignored() {
        let explicit = Path::new("/x");
        assert_eq!(base(Some(explicit), Some(Path::new("/y"))).unwrap(), explicit);
        assert_eq!(base(None, Some(Path::new("/y"))).unwrap(), Path::new("/y/msctl"));
        assert_ne!(base(None, Some(Path::new("y"))).ok(), Some(PathBuf::from("y/msctl")));
    }
}
