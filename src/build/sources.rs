//! What a service is made from: which files, and as one digest, with how they are built and for what.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::instance::BuildDigest;
use crate::model::platform::{Build, ServiceSpec};

use super::changes::Written;
use super::digest::Digester;
use super::dockerfile;
use super::dockerignore::DockerIgnore;
use super::error::BuildError;
use super::pack;
use super::place::Place;
use super::rules::{self, Git, Rules};
use super::walk::{self, Entry, Kind};

/// Whether images can be built and run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Present,
    Absent,
}

/// The files that something is made from, by the ignore files as they are when they are first needed.
pub struct Sources {
    folder: PathBuf,
    rules: Arc<Rules>,
    /// Counts, whatever the rules say.
    dockerfile: Option<PathBuf>,
    /// Never count: what a build leaves behind, and what is a part of the manifest.
    left_out: BTreeSet<PathBuf>,
}

impl Sources {
    /// What a service is built from. `root` is the folder of the platform.
    pub fn of(service: &ServiceSpec, root: &Path) -> Result<Self, BuildError> {
        Self::by(service, root, Git::Heeded)
    }

    /// What an image is built from: of a Dockerfile's context, git ignores nothing.
    fn of_image(service: &ServiceSpec, root: &Path) -> Result<Self, BuildError> {
        match service.build {
            Build::Dockerfile { .. } => Self::by(service, root, Git::Disregarded),
            _ => Self::of(service, root),
        }
    }

    fn by(service: &ServiceSpec, root: &Path, git: Git) -> Result<Self, BuildError> {
        let mut sources = Self::of_build(&service.build, &service.folder, root, git)?;
        sources.left_out.extend(env_files(service));
        Ok(sources)
    }

    fn of_build(build: &Build, folder: &Path, root: &Path, git: Git) -> Result<Self, BuildError> {
        let (docker, dockerfile) = match build {
            Build::Dockerfile { file } => (DockerIgnore::read(folder), Some(folder.join(file))),
            _ => (Ok(DockerIgnore::parse("")), None),
        };
        let docker = docker.map_err(|source| BuildError::file("read", folder, source))?;
        let rules = Arc::new(Rules::new(root, folder, docker, git));
        let left_out = made_by_build(build, folder, root).into_iter().collect();
        Ok(Self { folder: folder.to_owned(), rules, dockerfile, left_out })
    }

    /// A folder that services share: all that git does not ignore.
    pub fn of_folder(folder: &Path, root: &Path) -> Self {
        let rules = Arc::new(Rules::new(root, folder, DockerIgnore::parse(""), Git::Heeded));
        Self { folder: folder.to_owned(), rules, dockerfile: None, left_out: BTreeSet::new() }
    }

    /// The files, links and folders of now.
    pub fn entries(&self) -> Result<Vec<Entry>, BuildError> {
        let mut entries = walk::sources(&self.folder, &self.rules)?;
        entries.retain(|entry| !self.left_out.contains(&self.folder.join(&entry.path)));
        Ok(entries)
    }

    /// What tells whether something changed: all of them, and the Dockerfile.
    pub fn look(&self) -> Result<BTreeMap<PathBuf, Kind>, BuildError> {
        let entries = self.entries()?.into_iter();
        let mut look: BTreeMap<_, _> =
            entries.map(|entry| (self.folder.join(entry.path), entry.kind)).collect();
        if let Some(file) = &self.dockerfile
            && let Ok(Some(kind)) = Kind::of(file)
        {
            look.insert(file.clone(), kind);
        }
        Ok(look)
    }

    /// The folders in which a source may appear.
    pub fn folders(&self) -> Result<BTreeSet<PathBuf>, BuildError> {
        let beside_dockerfile = self.dockerfile.as_deref().and_then(Path::parent);
        // What the walk enters is no link; this may be one, to anywhere.
        let beside_dockerfile =
            beside_dockerfile.filter(|path| matches!(Kind::of(path), Ok(Some(Kind::Folder))));
        let entries = self.entries()?.into_iter().filter(|entry| entry.kind == Kind::Folder);
        let inside = entries.map(|entry| self.folder.join(entry.path));
        Ok(inside.chain([self.folder.clone()]).chain(beside_dockerfile.map(Path::to_owned)).collect())
    }

    /// Whether a path is, was, or would be one of them, or of the folders that hold them, or decides
    /// which are.
    pub fn concern(&self, path: &Path) -> bool {
        if self.left_out.contains(path) {
            return false;
        }
        let admitted = || match std::fs::symlink_metadata(path) {
            Ok(metadata) => self.rules.admit(path, metadata.is_dir()),
            Err(_) => self.rules.admit(path, false) || self.rules.admit(path, true),
        };
        self.dockerfile.as_deref() == Some(path)
            || path.starts_with(&self.folder) && (rules::is_rule(path) || admitted())
    }
}

/// `root` is the folder of the platform; files that builds are known to write themselves are left out.
pub fn digest(
    service: &ServiceSpec,
    root: &Path,
    aliases: &BTreeMap<String, String>,
    engine: Engine,
    written: &Written,
) -> Result<BuildDigest, BuildError> {
    let mut digester = Digester::new();
    digester.add("target", pack::target().as_bytes());
    match &service.build {
        Build::Pack { command, artifact } => {
            digester.add("command", command.as_bytes());
            digester.add("artifact", artifact.as_bytes());
        }
        Build::Dockerfile { file } => {
            add_dockerfile(&mut digester, &service.folder.join(file), aliases)?;
        }
        Build::Image { reference } => {
            let image = dockerfile::alias(aliases, reference).unwrap_or(reference);
            digester.add("image", image.as_bytes());
        }
    }
    if let Some(recipe) = service.process.as_ref().filter(|_| engine == Engine::Absent) {
        digester.add("process command", recipe.command.as_bytes());
        digester.add("process build", recipe.build.as_deref().unwrap_or_default().as_bytes());
    }
    for (folder, entries) in entries(service, root, engine, written)? {
        if folder != service.folder {
            // Two checkouts of one platform share nothing but what is in it.
            let place = folder.strip_prefix(root).unwrap_or(&folder);
            digester.add("shared", place.as_os_str().as_encoded_bytes());
        }
        digester.add_files(&folder, &entries)?;
    }
    Ok(digester.finish())
}

/// The files that a service is built from: those of its own folder, then those of each that it shares.
pub fn entries(
    service: &ServiceSpec,
    root: &Path,
    engine: Engine,
    written: &Written,
) -> Result<Vec<(PathBuf, Vec<Entry>)>, BuildError> {
    if matches!(service.build, Build::Image { .. }) && engine == Engine::Present {
        return Ok(Vec::new());
    }
    // A folder that is gone is not one without files: whoever is made from it stays as it is.
    for folder in [&service.folder].into_iter().chain(&service.shared) {
        std::fs::read_dir(folder).map_err(|source| BuildError::file("read", folder, source))?;
    }
    let own = match engine {
        Engine::Present => Sources::of_image(service, root)?,
        Engine::Absent => Sources::of(service, root)?,
    };
    let mut all = vec![(service.folder.clone(), own.entries()?)];
    for folder in &service.shared {
        let mut sources = Sources::of_folder(folder, root);
        sources.left_out.extend(env_files(service));
        all.push((folder.clone(), sources.entries()?));
    }
    for (folder, entries) in &mut all {
        entries.retain(|entry| !written.contains(&folder.join(&entry.path)));
    }
    Ok(all)
}

fn env_files(service: &ServiceSpec) -> impl Iterator<Item = PathBuf> {
    service.env_files.iter().flat_map(|file| file.paths.iter().cloned())
}

/// The Dockerfile counts as it is sent: with the images that stand in for others. One that is not
/// there is an error of the build, not of looking.
fn add_dockerfile(
    digester: &mut Digester,
    file: &Path,
    aliases: &BTreeMap<String, String>,
) -> Result<(), BuildError> {
    let text = match std::fs::read(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        text => text.map_err(|source| BuildError::file("read", file, source))?,
    };
    digester.add("Dockerfile path", file.file_name().unwrap_or_default().as_encoded_bytes());
    digester
        .add("Dockerfile", dockerfile::apply_aliases(&String::from_utf8_lossy(&text), aliases).0.as_bytes());
    Ok(())
}

/// An artifact in the service's own folder is no source of it.
fn made_by_build(build: &Build, folder: &Path, root: &Path) -> Option<PathBuf> {
    match build {
        Build::Pack { artifact, .. } => Some(pack::artifact_path(folder, artifact, &Place::new(root))),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
