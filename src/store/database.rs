//! Opening a database, and the one connection everybody shares.
//!
//! One connection behind a mutex: SQLite has one writer at a time anyway, every statement here takes
//! microseconds, and other processes (`msctl user add` beside a running platform) wait their turn
//! through the busy timeout.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::migrations::{Accounts, Schema, known_version, migrate, version_of};
use super::private::{self, PrivacyError};
use super::time::to_seconds;

/// How long a statement waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What a failed call was about.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("open the database: {0}")]
    Private(#[from] PrivacyError),
    #[error(
        "open the database {}: it was written by a newer msctl (format {found}, this one knows {known}) \
         and is left as it is; hint: run that msctl, or move the file away to start without its data",
        path.display()
    )]
    Newer { path: PathBuf, found: usize, known: usize },
    #[error("move the damaged database {} aside: {source}", path.display())]
    Quarantine { path: PathBuf, source: std::io::Error },
    #[error("delete {}: {source}", path.display())]
    Delete { path: PathBuf, source: std::io::Error },
    #[error("{action} in {}: {source}", path.display())]
    Sqlite { action: &'static str, path: PathBuf, source: rusqlite::Error },
}

/// An open database with what `S` says is in it.
pub struct Database<S> {
    path: PathBuf,
    connection: Mutex<Connection>,
    quarantined: Option<PathBuf>,
    schema: PhantomData<fn() -> S>,
}

/// The database of accounts.
pub type Store = Database<Accounts>;

impl<S: Schema> Database<S> {
    /// Opens or makes the database at `path`, in a folder of its own that only its owner can read.
    ///
    /// A damaged file is not lost and not in the way: it is renamed to `<name>.corrupt-<seconds>`,
    /// a fresh database takes its place, and [`Database::quarantined`] says so.
    ///
    /// # Errors
    /// When folder or file are open to others, or the file was written by a newer msctl.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let folder = private::ensure_folder(path.parent().unwrap_or(Path::new(".")))?;
        let path = folder.join(path.file_name().unwrap_or_default());
        // One opener at a time: two that both find damage must not move each other's fresh file away.
        let _opening = private::lock_folder(&folder)?;
        private::ensure_file(&path)?;
        match connect::<S>(&path) {
            Err(error) if is_damage(&error) => Self::start_afresh(path),
            connection => Ok(Self::of(connection?, path, None)),
        }
    }

    /// Deletes the database at `path`, for good. Says whether there was one.
    pub fn delete(path: &Path) -> Result<bool, StoreError> {
        let mut was_there = false;
        for suffix in ["", "-wal", "-shm"] {
            let mut file = path.as_os_str().to_owned();
            file.push(suffix);
            match std::fs::remove_file(&file) {
                Ok(()) => was_there = true,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(StoreError::Delete { path: file.into(), source }),
            }
        }
        Ok(was_there)
    }

    /// A database that lives as long as the value. For tests.
    pub fn in_memory() -> Result<Self, StoreError> {
        let path = PathBuf::from(":memory:");
        let connection = Connection::open_in_memory().map_err(sqlite("open it", &path))?;
        Ok(Self::of(prepare::<S>(connection, &path)?, path, None))
    }

    /// Where the damaged file that stood in this database's place was put.
    #[must_use]
    pub fn quarantined(&self) -> Option<&Path> {
        self.quarantined.as_deref()
    }

    fn start_afresh(path: PathBuf) -> Result<Self, StoreError> {
        let aside =
            quarantine(&path).map_err(|source| StoreError::Quarantine { path: path.clone(), source })?;
        private::ensure_file(&path)?;
        Ok(Self::of(connect::<S>(&path)?, path, Some(aside)))
    }

    fn of(connection: Connection, path: PathBuf, quarantined: Option<PathBuf>) -> Self {
        Self { path, connection: Mutex::new(connection), quarantined, schema: PhantomData }
    }

    /// Runs `work` alone on the connection; `action` completes "failed to …".
    pub(super) fn with<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        // A panic while the lock was held has rolled its transaction back: the connection is sound.
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut connection).map_err(sqlite(action, &self.path))
    }
}

fn connect<S: Schema>(path: &Path) -> Result<Connection, StoreError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags).map_err(sqlite("open it", path))?;
    prepare::<S>(connection, path)
}

fn prepare<S: Schema>(mut connection: Connection, path: &Path) -> Result<Connection, StoreError> {
    let failed = sqlite("prepare it", path);
    connection.busy_timeout(BUSY_TIMEOUT).map_err(&failed)?;
    // Before anything is written: a newer msctl's database stays as it is.
    let (found, known) = (version_of(&connection).map_err(&failed)?, known_version::<S>());
    if found > known {
        return Err(StoreError::Newer { path: path.to_owned(), found, known });
    }
    check_pages(&connection).map_err(&failed)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(&failed)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(&failed)?;
    // Nothing is written just to read, so that a disk that is full can be read from.
    if found < known {
        migrate::<S>(&mut connection).map_err(&failed)?;
    }
    Ok(connection)
}

fn check_pages(connection: &Connection) -> rusqlite::Result<()> {
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        return Ok(());
    }
    let damage = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(rusqlite::Error::SqliteFailure(damage, Some(verdict)))
}

fn sqlite(action: &'static str, path: &Path) -> impl Fn(rusqlite::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |source| StoreError::Sqlite { action, path: path.clone(), source }
}

fn is_damage(error: &StoreError) -> bool {
    let StoreError::Sqlite { source, .. } = error else { return false };
    matches!(source.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Renames the database, and the log that belongs to it, to a name that is free.
fn quarantine(path: &Path) -> std::io::Result<PathBuf> {
    let suffixed = |base: &Path, suffix: &str| {
        let mut name = base.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let mut stamp = to_seconds(SystemTime::now());
    while suffixed(path, &format!(".corrupt-{stamp}")).exists() {
        stamp += 1;
    }
    let aside = suffixed(path, &format!(".corrupt-{stamp}"));
    for log in ["-wal", "-shm"] {
        match std::fs::rename(suffixed(path, log), suffixed(&aside, log)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    std::fs::rename(path, &aside)?;
    Ok(aside)
}

#[cfg(test)]
mod tests;
