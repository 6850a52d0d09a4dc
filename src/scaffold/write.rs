//! Puts a plan on the disk: all of it or nothing, and never over anything that exists.
//!
//! Everything is written and synced in a hidden folder beside the target, then one rename makes it
//! appear. Whoever looks (a watcher, another `msctl`) sees no service or a whole one. When
//! something fails half-way, the hidden folder goes away again, and so do the parents made for it.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use tempfile::TempDir;

use super::error::ScaffoldError;
use super::file_plan::{FileOp, FilePlan};

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The new folder.
    pub folder: PathBuf,
    pub files: usize,
}

/// Writes `plan` into the folder `into`, which is made if it is not there.
pub fn write(plan: &FilePlan, into: &Path) -> Result<Written, ScaffoldError> {
    plan.check_paths()?;
    let target = into.join(&plan.target);
    refuse_existing(&target)?;
    let parent = target.parent().unwrap_or(into);
    let made = MadeFolders::create(parent)?;
    let staging = stage(plan, parent)?;
    publish(staging, &target)?;
    made.keep();
    Ok(Written { folder: target, files: plan.files.len() })
}

/// A broken link counts as something that exists.
fn refuse_existing(target: &Path) -> Result<(), ScaffoldError> {
    match target.symlink_metadata() {
        Ok(_) => Err(ScaffoldError::Exists { path: target.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(ScaffoldError::writing(target, error)),
    }
}

/// Writes everything into a folder that vanishes when it is dropped.
fn stage(plan: &FilePlan, parent: &Path) -> Result<TempDir, ScaffoldError> {
    let target = parent.join(plan.target.file_name().unwrap_or_default());
    let staging = tempfile::Builder::new()
        .prefix(".msctl-new-")
        // The user's umask applies. Private by default would follow the rename, and the service's
        // user in a container could not read its own files.
        .permissions(Permissions::from_mode(0o777))
        .tempdir_in(parent)
        // The hidden folder's name, which comes with the error, would tell nobody anything.
        .map_err(|source| ScaffoldError::writing(&target, source.kind().into()))?;
    for file in &plan.files {
        let path = staging.path().join(&file.path);
        // Nor would it here.
        let shown = target.join(&file.path);
        write_file(file, &path).map_err(|source| ScaffoldError::writing(&shown, source))?;
    }
    Ok(staging)
}

fn write_file(file: &FileOp, path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mode = if file.executable { 0o777 } else { 0o666 };
    let mut out = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    out.write_all(&file.contents)?;
    out.sync_all()
}

fn publish(staging: TempDir, target: &Path) -> Result<(), ScaffoldError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => ScaffoldError::Exists { path: target.to_owned() },
        _ => ScaffoldError::writing(target, source),
    };
    // Refuses a target that appeared in the meantime, which a plain rename would replace if it
    // is an empty folder.
    renameat_with(CWD, staging.path(), CWD, target, RenameFlags::NOREPLACE).map_err(|e| failed(e.into()))?;
    // It has moved: there is nothing left to remove under the old name.
    let _moved = staging.keep();
    let parent = target.parent().unwrap_or(target);
    File::open(parent).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// Folders made on the way to the target; those that are still empty are removed again unless
/// they are kept.
struct MadeFolders(Vec<PathBuf>);

impl MadeFolders {
    fn create(folder: &Path) -> Result<Self, ScaffoldError> {
        let missing = folder.ancestors().take_while(|at| !at.as_os_str().is_empty() && !at.exists());
        let made = Self(missing.map(Path::to_owned).collect());
        fs::create_dir_all(folder).map_err(|source| ScaffoldError::writing(folder, source))?;
        Ok(made)
    }

    fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for MadeFolders {
    fn drop(&mut self) {
        // Innermost first. Not empty means that somebody else uses it now.
        for folder in &self.0 {
            let _ = fs::remove_dir(folder);
        }
    }
}

#[cfg(test)]
mod tests;
