//! Where a platform's builds keep things: all under `.msctl` in its root.
//!
//! An artifact is kept under the digest of its own bytes; what was built from certain sources is a
//! link to it under the digest of these. So two builds with the same outcome are the same program.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::model::instance::BuildDigest;
use crate::model::name::ServiceName;

use super::error::BuildError;
use super::kept::{Kept, Role};

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

    /// A link to the program that was built from these sources.
    pub fn artifact(&self, service: &ServiceName, digest: &BuildDigest) -> PathBuf {
        self.artifacts().join(format!("{service}-{}", digest.short()))
    }

    pub fn stamp(&self, service: &ServiceName, digest: &BuildDigest) -> PathBuf {
        self.artifacts().join(format!("{service}-{}{STAMP}", digest.short()))
    }

    /// The program itself; `None` where it was not built.
    pub fn program(&self, service: &ServiceName, digest: &BuildDigest) -> Option<PathBuf> {
        let link = self.artifact(service, digest);
        let target = fs::read_link(&link).ok()?;
        Some(self.artifacts().join(target)).filter(|program| program.exists())
    }

    /// Keeps a copy of an artifact under the name of its content.
    pub fn keep_program(&self, service: &ServiceName, from: &Path) -> Result<PathBuf, BuildError> {
        let content = fs::read(from).map_err(|source| BuildError::file("read", from, source))?;
        let digest = format!("{:x}", Sha256::digest(&content));
        let program = self.programs().join(format!("{service}-{}", &digest[..12]));
        if program.exists() {
            // It is news again.
            let touched =
                fs::File::open(&program).and_then(|file| file.set_modified(std::time::SystemTime::now()));
            touched.map_err(|source| BuildError::file("touch", &program, source))?;
        } else {
            write(&program, &content, 0o755)?;
        }
        Ok(program)
    }

    /// Notes that these sources give this program; another build of the same digest may do so at once.
    pub fn link(
        &self,
        service: &ServiceName,
        digest: &BuildDigest,
        program: &Path,
    ) -> Result<(), BuildError> {
        let link = self.artifact(service, digest);
        let fault = |source| BuildError::file("write", &link, source);
        fs::create_dir_all(self.artifacts()).map_err(fault)?;
        let target = Path::new(PROGRAMS).join(program.file_name().unwrap_or_default());
        let fresh = self.artifacts().join(format!(".{}", uuid::Uuid::new_v4().simple()));
        std::os::unix::fs::symlink(target, &fresh).map_err(fault)?;
        fs::rename(&fresh, &link).map_err(fault)
    }

    pub fn stamp_prepared(&self, service: &ServiceName, digest: &BuildDigest) -> Result<(), BuildError> {
        write(&self.stamp(service, digest), b"", 0o644)
    }

    /// Every build that is kept.
    pub fn kept(&self) -> Result<Vec<Kept>, BuildError> {
        let mut kept = Vec::new();
        let found = files(&self.artifacts())?;
        let (links, others): (Vec<PathBuf>, Vec<PathBuf>) =
            found.into_iter().partition(|path| path.is_symlink());
        for path in files(&self.programs())?.into_iter().chain(others).filter(|path| path.is_file()) {
            kept.extend(self.read(&path)?);
        }
        for link in links {
            let Ok(target) = fs::read_link(&link) else { continue };
            let target = self.artifacts().join(target).to_string_lossy().into_owned();
            if let Some(found) = kept.iter_mut().find(|found| found.handle == target) {
                found.names.push(link.to_string_lossy().into_owned());
            }
        }
        Ok(kept)
    }

    /// Removes a build, the links to it first; what is gone is fine.
    pub fn discard(&self, kept: &Kept) -> Result<(), BuildError> {
        for path in kept.names.iter().chain([&kept.handle]).map(Path::new) {
            let is_ours = path.starts_with(self.artifacts());
            match if is_ours { fs::remove_file(path) } else { Ok(()) } {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(BuildError::file("remove", path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// `None` for what is no build, or gone by now.
    fn read(&self, path: &Path) -> Result<Option<Kept>, BuildError> {
        let Some((service, short)) = parts(path) else { return Ok(None) };
        let metadata = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|source| BuildError::file("read", path, source))?,
        };
        let made = metadata.modified().map_err(|source| BuildError::file("read", path, source))?;
        // What a prepared service's shell is called.
        let names =
            if path.starts_with(self.programs()) { Vec::new() } else { vec![format!("{service}-{short}")] };
        let handle = path.to_string_lossy().into_owned();
        Ok(Some(Kept { service, role: Role::Artifact, handle, names, size: metadata.blocks() * 512, made }))
    }

    fn artifacts(&self) -> PathBuf {
        self.folder.join("artifacts")
    }

    fn programs(&self) -> PathBuf {
        self.artifacts().join(PROGRAMS)
    }
}

/// The folder of the programs, below that of the links.
const PROGRAMS: &str = "programs";

/// What is in a folder; nothing where there is none.
fn files(folder: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let fault = |source| BuildError::file("list", folder, source);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(fault)?,
    };
    entries.map(|entry| Ok(entry.map_err(fault)?.path())).collect()
}

/// Written beside and renamed, so that nobody ever sees half of it.
fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), BuildError> {
    let fault = |source| BuildError::file("write", path, source);
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(fault)?;
    let unfinished = tempfile::NamedTempFile::new_in(folder).map_err(fault)?;
    fs::write(unfinished.path(), content).map_err(fault)?;
    fs::set_permissions(unfinished.path(), fs::Permissions::from_mode(mode)).map_err(fault)?;
    unfinished.persist(path).map_err(|error| fault(error.error))?;
    Ok(())
}

/// `order-history-0123456789ab` → `order-history` and the digits.
fn parts(path: &Path) -> Option<(ServiceName, String)> {
    let name = path.file_name()?.to_str()?;
    let (service, digits) = name.strip_suffix(STAMP).unwrap_or(name).rsplit_once('-')?;
    Some((service.parse().ok()?, digits.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(digit: char) -> BuildDigest {
        BuildDigest(digit.to_string().repeat(64))
    }

    /// A place, and a way to keep a program with this content as built from that digest.
    struct Scene {
        root: tempfile::TempDir,
        place: Place,
    }

    impl Scene {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let place = Place::new(root.path());
            Self { root, place }
        }

        fn keep(&self, service: &str, content: &str, digit: char) -> PathBuf {
            let made = self.root.path().join("made");
            fs::write(&made, content).unwrap();
            let service: ServiceName = service.parse().unwrap();
            let program = self.place.keep_program(&service, &made).unwrap();
            self.place.link(&service, &digest(digit), &program).unwrap();
            program
        }
    }

    #[test]
    fn other_sources_with_the_same_outcome_give_the_same_program() {
        let scene = Scene::new();
        let service = "order".parse().unwrap();
        let one = scene.keep("order", "#!", '1');
        let other = scene.keep("order", "#!", '2');
        assert_eq!(one, other);
        assert_eq!(scene.place.program(&service, &digest('1')), Some(one.clone()));
        assert_eq!(fs::read(scene.place.artifact(&service, &digest('2'))).unwrap(), b"#!");
        assert_eq!(fs::metadata(&one).unwrap().permissions().mode() & 0o777, 0o755);
        assert_ne!(scene.keep("order", "#! more", '1'), one);
        assert_eq!(scene.place.program(&service, &digest('3')), None);
    }

    #[test]
    fn what_is_kept_is_listed_once_with_the_names_that_lead_to_it() {
        let scene = Scene::new();
        assert_eq!(scene.place.kept().unwrap(), []);
        let program = scene.keep("order-history", "#!", '1');
        scene.keep("order-history", "#!", '2');
        let service = "order".parse().unwrap();
        scene.place.stamp_prepared(&service, &digest('3')).unwrap();
        let mut kept = scene.place.kept().unwrap();
        kept.sort_by(|a, b| a.service.cmp(&b.service));
        assert_eq!(kept.len(), 2, "{kept:?}");
        assert_eq!(
            (kept[0].service.as_str(), kept[0].names.as_slice()),
            ("order", &["order-333333333333".to_owned()][..])
        );
        assert_eq!((kept[1].service.as_str(), kept[1].names.len()), ("order-history", 2));
        assert_eq!(kept[1].handle, program.to_str().unwrap());
        assert!(kept[1].size > 0);
    }

    #[test]
    fn a_discarded_program_goes_with_its_links_and_nothing_else_does() {
        let scene = Scene::new();
        let service: ServiceName = "order".parse().unwrap();
        scene.keep("order", "one", '1');
        let other = scene.keep("order", "other", '2');
        let kept = scene.place.kept().unwrap();
        let gone = kept.iter().find(|kept| kept.handle != other.to_str().unwrap()).unwrap();
        for _ in 0..2 {
            scene.place.discard(gone).unwrap();
        }
        assert!(fs::symlink_metadata(scene.place.artifact(&service, &digest('1'))).is_err());
        assert_eq!(scene.place.program(&service, &digest('2')), Some(other));
    }
}
