//! Where a platform's builds keep things: all under `.msctl` in its root.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::model::instance::BuildDigest;
use crate::model::name::ServiceName;

use super::error::BuildError;

/// How many builds of one service are kept, for rollbacks.
const KEPT: usize = 3;
/// Marks that a service was prepared for running without an engine.
const STAMP: &str = ".prepared";

pub struct Place {
    folder: PathBuf,
}

impl Place {
    pub fn new(root: &Path) -> Self {
        Self { folder: root.join(".msctl") }
    }

    /// What all builds of the platform share: compiled dependencies.
    pub fn cache(&self) -> PathBuf {
        self.folder.join("cache")
    }

    pub fn log(&self, service: &ServiceName) -> PathBuf {
        self.folder.join("logs").join(format!("build-{service}.log"))
    }

    pub fn artifact(&self, service: &ServiceName, digest: &BuildDigest) -> PathBuf {
        self.artifacts().join(format!("{service}-{}", digest.short()))
    }

    pub fn stamp(&self, service: &ServiceName, digest: &BuildDigest) -> PathBuf {
        self.artifacts().join(format!("{service}-{}{STAMP}", digest.short()))
    }

    /// Copies an artifact under its own name; another build of the same digest may do so at once.
    pub fn keep_artifact(&self, from: &Path, to: &Path) -> Result<(), BuildError> {
        let content = fs::read(from).map_err(|source| BuildError::file("read", from, source))?;
        self.write(to, &content, 0o755)
    }

    pub fn write_stamp(&self, path: &Path) -> Result<(), BuildError> {
        self.write(path, b"", 0o644)
    }

    /// Removes all but the newest builds of a service.
    pub fn remove_old(&self, service: &ServiceName) -> Result<(), BuildError> {
        let folder = self.artifacts();
        let mut builds =
            builds_of(&folder, service).map_err(|source| BuildError::file("list", &folder, source))?;
        builds.sort();
        let old = builds.len().saturating_sub(KEPT);
        for (_, path) in builds.drain(..old) {
            fs::remove_file(&path).map_err(|source| BuildError::file("remove", &path, source))?;
        }
        Ok(())
    }

    fn artifacts(&self) -> PathBuf {
        self.folder.join("artifacts")
    }

    /// Written beside and renamed, so that nobody ever sees half of it.
    fn write(&self, path: &Path, content: &[u8], mode: u32) -> Result<(), BuildError> {
        let fault = |source| BuildError::file("write", path, source);
        let folder = self.artifacts();
        fs::create_dir_all(&folder).map_err(fault)?;
        let unfinished = tempfile::NamedTempFile::new_in(&folder).map_err(fault)?;
        fs::write(unfinished.path(), content).map_err(fault)?;
        fs::set_permissions(unfinished.path(), fs::Permissions::from_mode(mode)).map_err(fault)?;
        unfinished.persist(path).map_err(|error| fault(error.error))?;
        Ok(())
    }
}

fn builds_of(folder: &Path, service: &ServiceName) -> io::Result<Vec<(SystemTime, PathBuf)>> {
    let mut builds = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if service_of(&path) == Some(service.as_str()) {
            builds.push((fs::metadata(&path)?.modified()?, path));
        }
    }
    Ok(builds)
}

/// `order-history-0123456789ab` → `order-history`.
fn service_of(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    Some(name.strip_suffix(STAMP).unwrap_or(name).rsplit_once('-')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_newest_three_builds_of_a_service_are_kept_and_others_services_are_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let place = Place::new(root.path());
        let service: ServiceName = "order".parse().unwrap();
        let other: ServiceName = "order-history".parse().unwrap();
        let digest = |number: u32| BuildDigest(format!("{number:064x}").chars().rev().collect());
        for number in 1..=5 {
            let path = place.artifact(&service, &digest(number));
            place.write_stamp(&path).unwrap();
            let made = SystemTime::UNIX_EPOCH + Duration::from_secs(number.into());
            fs::File::options().write(true).open(&path).unwrap().set_modified(made).unwrap();
            place.write_stamp(&place.artifact(&other, &digest(number))).unwrap();
        }
        place.remove_old(&service).unwrap();
        let left = |service: &ServiceName| -> Vec<u32> {
            (1..=5).filter(|&number| place.artifact(service, &digest(number)).exists()).collect()
        };
        assert_eq!(left(&service), [3, 4, 5]);
        assert_eq!(left(&other), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn an_artifact_is_kept_as_a_program() {
        let root = tempfile::tempdir().unwrap();
        let place = Place::new(root.path());
        let made = root.path().join("made");
        fs::write(&made, "#!").unwrap();
        let kept = place.artifact(&"order".parse().unwrap(), &BuildDigest("0".repeat(64)));
        place.keep_artifact(&made, &kept).unwrap();
        assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read(&kept).unwrap(), b"#!");
    }
}
