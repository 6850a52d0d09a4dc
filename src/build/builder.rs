//! What a service is built from, whether that is done, and what then runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::instance::{BuildDigest, Program};
use crate::model::name::{PlatformId, ServiceName};
use crate::model::platform::{Build, ServiceSpec};
use crate::runtime::{Discarded, ImageId, Images, Runtime};

use super::changes::{Snapshot, Written};
use super::dockerfile;
use super::error::BuildError;
use super::kept::{self, Kept, Role};
use super::naming::Naming;
use super::place::Place;
use super::sources::{self, Engine};

/// Builds the services of one platform for one runtime.
pub struct Builder {
    pub(super) naming: Naming,
    pub(super) root: PathBuf,
    pub(super) aliases: BTreeMap<String, String>,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) place: Place,
    written: BTreeMap<ServiceName, Written>,
}

impl Builder {
    /// `root` is the platform's folder, `aliases` are its `[images.aliases]`.
    pub fn new(
        platform: PlatformId,
        root: PathBuf,
        aliases: BTreeMap<String, String>,
        runtime: Arc<dyn Runtime>,
    ) -> Self {
        let place = Place::new(&root);
        Self { naming: Naming { platform }, root, aliases, runtime, place, written: BTreeMap::new() }
    }

    /// Leaves files out of a service's sources that its builds are known to write themselves: see
    /// [`OwnWrites`](super::OwnWrites).
    #[must_use]
    pub fn ignoring(mut self, service: &ServiceName, written: &Written) -> Self {
        self.written.insert(service.clone(), written.clone());
        self
    }

    /// The digest of a service's sources and of how they are built.
    pub async fn digest(&self, service: &ServiceSpec) -> Result<BuildDigest, BuildError> {
        let (service, root, aliases) = (service.clone(), self.root.clone(), self.aliases.clone());
        let (engine, written) = (self.engine(), self.written(&service.name));
        in_background(move || sources::digest(&service, &root, &aliases, engine, &written)).await
    }

    /// The files of a service's sources as they are now.
    pub async fn snapshot(&self, service: &ServiceSpec) -> Result<Snapshot, BuildError> {
        let (service, root, engine) = (service.clone(), self.root.clone(), self.engine());
        let written = self.written(&service.name);
        in_background(move || Snapshot::take(&sources::entries(&service, &root, engine, &written)?)).await
    }

    /// Whether what [`Builder::program`] names is there.
    pub async fn is_built(&self, service: &ServiceSpec, digest: &BuildDigest) -> Result<bool, BuildError> {
        match (self.runtime.images(), Recipe::of(service)) {
            (Some(images), _) => Ok(images.has(&self.image(service, digest)).await?),
            (None, Recipe::Artifact { .. }) => Ok(self.place.artifact(&service.name, digest).exists()),
            (None, Recipe::Prepared { .. }) => Ok(self.place.stamp(&service.name, digest).exists()),
            (None, Recipe::None) => Err(BuildError::NeedsEngine { service: service.name.clone() }),
        }
    }

    /// Whether what an earlier build made is still there.
    pub async fn has(&self, program: &Program) -> Result<bool, BuildError> {
        match (program, self.images()) {
            (Program::Image { reference }, Some(images)) => Ok(images.has(reference).await?),
            (Program::Image { .. }, None) => Ok(false),
            (Program::Command { argv, .. }, _) => {
                Ok(argv.first().is_some_and(|program| Path::new(program).exists()))
            }
        }
    }

    /// What an instance executes once the service is built, named by its sources.
    pub fn program(&self, service: &ServiceSpec, digest: &BuildDigest) -> Program {
        let folder = service.folder.clone();
        match (self.runtime.images(), &service.process) {
            (None, Some(recipe)) => {
                // The shell's own name says which sources it runs, so that new ones make a new program.
                let name = format!("{}-{}", service.name, digest.short());
                let argv = vec!["sh".to_owned(), "-c".to_owned(), to_executed(&recipe.command), name];
                Program::Command { argv, folder }
            }
            (None, None) if matches!(service.build, Build::Pack { .. }) => {
                let artifact = self.place.artifact(&service.name, digest);
                Program::Command { argv: vec![artifact.to_string_lossy().into_owned()], folder }
            }
            _ => Program::Image { reference: self.image(service, digest) },
        }
    }

    /// What an instance executes, named by what it is: other sources with the same outcome give the
    /// same program. `None` where it is not built.
    pub async fn built(
        &self,
        service: &ServiceSpec,
        digest: &BuildDigest,
    ) -> Result<Option<Program>, BuildError> {
        let program = self.program(service, digest);
        match (self.runtime.images(), Recipe::of(service)) {
            (Some(images), _) => {
                let found = images.inspect(&self.image(service, digest)).await?;
                let is_ours = !matches!(service.build, Build::Image { .. });
                // Whoever names an image means the name.
                Ok(found
                    .map(|image| if is_ours { Program::Image { reference: image.id.0 } } else { program }))
            }
            (None, Recipe::Artifact { .. }) => {
                let found = self.place.program(&service.name, digest);
                Ok(found.map(|program| executed(service, &program)))
            }
            _ => Ok(self.is_built(service, digest).await?.then_some(program)),
        }
    }

    /// What this platform's builds have left behind, by service.
    pub async fn kept(&self) -> Result<Vec<Kept>, BuildError> {
        let mut kept = self.place.kept()?;
        if let Some(images) = self.images() {
            kept.extend(kept::of_images(images.list().await?));
        }
        kept.sort_by(|a, b| (&a.service, a.role, a.made).cmp(&(&b.service, b.role, b.made)));
        Ok(kept)
    }

    /// Removes one of [`Builder::kept`]; the engine does not give up what containers are made from.
    pub async fn discard(&self, kept: &Kept) -> Result<Discarded, BuildError> {
        match (kept.role, self.images()) {
            (Role::Artifact, _) => self.place.discard(kept).map(|()| Discarded::Yes),
            (_, Some(images)) => Ok(images.discard(&ImageId(kept.handle.clone())).await?),
            (_, None) => Ok(Discarded::InUse),
        }
    }

    /// The image of a service that has or gets one.
    pub(super) fn image(&self, service: &ServiceSpec, digest: &BuildDigest) -> String {
        match &service.build {
            Build::Image { reference } => {
                dockerfile::alias(&self.aliases, reference).unwrap_or(reference).to_owned()
            }
            _ => self.naming.image(&service.name, digest),
        }
    }

    pub(super) fn engine(&self) -> Engine {
        if self.images().is_some() { Engine::Present } else { Engine::Absent }
    }

    pub(super) fn images(&self) -> Option<&dyn Images> {
        self.runtime.images()
    }

    fn written(&self, service: &ServiceName) -> Written {
        self.written.get(service).cloned().unwrap_or_default()
    }
}

/// How a service is made to run without a container engine.
pub enum Recipe<'a> {
    /// Its artifact is run.
    Artifact { command: &'a str, artifact: &'a str },
    /// `[process]` says what is run, after this command.
    Prepared { command: Option<&'a str> },
    /// Not at all.
    None,
}

impl<'a> Recipe<'a> {
    pub fn of(service: &'a ServiceSpec) -> Self {
        match (&service.process, &service.build) {
            (Some(recipe), Build::Pack { command, .. }) => {
                Self::Prepared { command: Some(recipe.build.as_deref().unwrap_or(command)) }
            }
            (Some(recipe), _) => Self::Prepared { command: recipe.build.as_deref() },
            (None, Build::Pack { command, artifact }) => Self::Artifact { command, artifact },
            (None, _) => Self::None,
        }
    }
}

/// A program on this machine, run in its service's folder.
pub fn executed(service: &ServiceSpec, program: &std::path::Path) -> Program {
    Program::Command { argv: vec![program.to_string_lossy().into_owned()], folder: service.folder.clone() }
}

/// A command line for `sh -c` that the shell becomes rather than starts, so that signals reach the
/// program itself. What consists of several commands stays as it is.
fn to_executed(command: &str) -> String {
    let command = command.trim();
    let is_several = command.contains(['\n', ';', '&', '|', '(', ')', '<', '>', '`']);
    let first = command.split_whitespace().next().unwrap_or_default();
    match first {
        "exec" | "" => command.to_owned(),
        _ if is_several => command.to_owned(),
        _ if first.contains('=') => format!("exec env {command}"),
        _ => format!("exec {command}"),
    }
}

/// Reading and hashing whole folders would hold up everything else on an async thread.
pub async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BuildError> + Send + 'static,
) -> Result<T, BuildError> {
    tokio::task::spawn_blocking(work).await.expect("the work does not panic, nor is it ever aborted")
}

#[cfg(test)]
mod tests;
