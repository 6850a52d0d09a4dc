//! What a service is made from, as one digest: its files, how they are built, and for what.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::model::instance::BuildDigest;
use crate::model::platform::{Build, ServiceSpec};

use super::digest::Digester;
use super::dockerfile;
use super::dockerignore::DockerIgnore;
use super::error::BuildError;
use super::pack;
use super::place::Place;
use super::walk::{self, Entry};

/// Whether images can be built and run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Present,
    Absent,
}

/// `root` is the folder of the platform; files that builds are known to write themselves are left out.
pub fn digest(
    service: &ServiceSpec,
    root: &Path,
    aliases: &BTreeMap<String, String>,
    engine: Engine,
    written: &BTreeSet<PathBuf>,
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
    digester.add_files(&service.folder, &entries(service, root, engine, written)?)?;
    Ok(digester.finish())
}

/// The files that a service is built from.
pub fn entries(
    service: &ServiceSpec,
    root: &Path,
    engine: Engine,
    written: &BTreeSet<PathBuf>,
) -> Result<Vec<Entry>, BuildError> {
    let ignored = match &service.build {
        Build::Image { .. } if engine == Engine::Present => return Ok(Vec::new()),
        Build::Dockerfile { .. } => DockerIgnore::read(&service.folder)
            .map_err(|source| BuildError::file("read", &service.folder, source))?,
        _ => DockerIgnore::parse(""),
    };
    let made = made_by_build(service, root);
    let mut entries = walk::sources(root, &service.folder, ignored)?;
    entries.retain(|entry| {
        made.as_ref() != Some(&service.folder.join(&entry.path)) && !written.contains(&entry.path)
    });
    Ok(entries)
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
fn made_by_build(service: &ServiceSpec, root: &Path) -> Option<PathBuf> {
    match &service.build {
        Build::Pack { artifact, .. } => {
            Some(pack::artifact_path(&service.folder, artifact, &Place::new(root)))
        }
        _ => None,
    }
}
