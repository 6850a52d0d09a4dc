//! What tells of single folders, as a trait so narrow that a test can stand in for the kernel.
//!
//! On Linux this is inotify. A watch there belongs to a folder, not to its name: renamed, the folder is
//! still told of by its old name. So whoever hears of a renamed or removed folder has to stop watching
//! it and to look what is there now.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{ErrorKind, RecursiveMode, Watcher};

use super::inbox::Inbox;
use super::limits::Limit;

pub trait Ears: Send {
    /// Begins to tell of a folder and of what is directly in it. It is watched already: no matter.
    fn watch(&mut self, folder: &Path) -> Result<(), Refusal>;
    /// Stops that. It is not watched: no matter.
    fn unwatch(&mut self, folder: &Path);
}

/// Something happened at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    pub path: PathBuf,
    pub kind: Kind,
    pub at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file is being written.
    Writing,
    /// It was closed after that.
    Written,
    /// Something was made here; more may follow.
    Made,
    /// Something was put here whole, by renaming it.
    Arrived,
    /// Something was removed, or renamed to elsewhere.
    Left,
    /// It may have become accessible.
    Metadata,
    /// What, is not known.
    Anything,
}

impl Kind {
    /// Whether what was known of a folder is void.
    pub fn is_of_folders(self) -> bool {
        !matches!(self, Self::Writing | Self::Written)
    }

    /// Whether what is there is not still in the making.
    pub fn is_whole(self) -> bool {
        matches!(self, Self::Written | Self::Arrived | Self::Metadata)
    }

    /// Whether nothing was there before, as far as that is known: what arrived may have taken the place
    /// of another file.
    pub fn is_beginning(self) -> bool {
        matches!(self, Self::Made | Self::Arrived)
    }
}

/// Why there is no watch.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("it is gone")]
    Gone,
    #[error("the limit {} is reached", .0.setting())]
    Limit(Limit),
    #[error("nobody is there to tell of it")]
    Unasked,
    #[error("{0}")]
    Other(String),
}

/// The kernel's own, speaking into `inbox`.
pub fn open(inbox: Arc<Inbox>) -> Result<Box<dyn Ears>, Refusal> {
    let handler = move |event| hear(&inbox, event);
    match notify::recommended_watcher(handler) {
        Ok(watcher) => Ok(Box::new(Kernel(watcher))),
        Err(error) => Err(refusal(error.kind)),
    }
}

struct Kernel(notify::RecommendedWatcher);

impl Ears for Kernel {
    fn watch(&mut self, folder: &Path) -> Result<(), Refusal> {
        self.0.watch(folder, RecursiveMode::NonRecursive).map_err(|error| refusal(error.kind))
    }

    fn unwatch(&mut self, folder: &Path) {
        let _ = self.0.unwatch(folder); // a folder that is gone has lost its watch with it
    }
}

fn hear(inbox: &Inbox, event: notify::Result<notify::Event>) {
    let at = Instant::now();
    match event {
        Ok(event) if event.need_rescan() => inbox.overflow(),
        Ok(event) => {
            let Some(kind) = kind_of(event.kind) else { return };
            event.paths.into_iter().for_each(|path| inbox.push(Signal { path, kind, at }));
        }
        Err(_) => inbox.overflow(),
    }
}

/// `None` for what changes nothing, and for a rename as a whole: both its paths were told of before.
fn kind_of(kind: EventKind) -> Option<Kind> {
    match kind {
        EventKind::Modify(ModifyKind::Data(_)) => Some(Kind::Writing),
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Kind::Written),
        EventKind::Create(_) => Some(Kind::Made),
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Some(Kind::Arrived),
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => Some(Kind::Left),
        EventKind::Modify(ModifyKind::Metadata(_)) => Some(Kind::Metadata),
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => None,
        _ => Some(Kind::Anything),
    }
}

fn refusal(kind: ErrorKind) -> Refusal {
    match kind {
        ErrorKind::MaxFilesWatch => Refusal::Limit(Limit::Watches),
        ErrorKind::PathNotFound => Refusal::Gone,
        ErrorKind::Io(error) if error.kind() == std::io::ErrorKind::NotFound => Refusal::Gone,
        ErrorKind::Io(error) if is_too_many(&error) && may_open_files() => Refusal::Limit(Limit::Instances),
        ErrorKind::Io(error) => Refusal::Other(error.to_string()),
        ErrorKind::Generic(text) => Refusal::Other(text),
        kind => Refusal::Other(format!("{kind:?}")),
    }
}

/// EMFILE: of open files, says the text, but one that watches counts against a limit of its own.
fn is_too_many(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error())
}

fn may_open_files() -> bool {
    std::fs::File::open("/dev/null").is_ok()
}
