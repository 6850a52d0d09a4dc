//! What is built how: the strategies, with and without a container engine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::instance::{BuildDigest, Program};
use crate::model::name::PlatformId;
use crate::model::platform::{Build, ServiceSpec};
use crate::runtime::{ImageBuild, Images, OutputSink, Runtime, RuntimeError, labels};

use super::command::{self, BuildCommand};
use super::context::{self, Context};
use super::digest::Digester;
use super::dockerfile::{self, BaseImage};
use super::dockerignore::DockerIgnore;
use super::error::BuildError;
use super::pack;
use super::place::Place;
use super::walk;

/// The label that says from which sources an image was made.
const DIGEST_LABEL: &str = "dev.msctl.digest";

/// Builds the services of one platform for one runtime.
pub struct Builder {
    platform: PlatformId,
    root: PathBuf,
    aliases: BTreeMap<String, String>,
    runtime: Arc<dyn Runtime>,
    place: Place,
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
        Self { platform, root, aliases, runtime, place }
    }

    /// The digest of a service's sources and of how they are built.
    pub async fn digest(&self, service: &ServiceSpec) -> Result<BuildDigest, BuildError> {
        let (service, root, aliases) = (service.clone(), self.root.clone(), self.aliases.clone());
        let has_engine = self.runtime.images().is_some();
        in_background(move || digest(&service, &root, &aliases, has_engine)).await
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

    /// What an instance executes once the service is built.
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

    /// Builds the service; every line of output goes to `output` as it comes. Dropping the future
    /// ends the build.
    pub async fn build(
        &self,
        service: &ServiceSpec,
        digest: &BuildDigest,
        output: OutputSink<'_>,
    ) -> Result<(), BuildError> {
        match (self.runtime.images(), &service.build) {
            (Some(images), Build::Pack { command, artifact }) => {
                let artifact = self.make_artifact(service, digest, command, artifact, output).await?;
                self.load(images, service, digest, artifact).await
            }
            (Some(images), Build::Dockerfile { file }) => {
                self.build_image(images, service, digest, file, output).await
            }
            (Some(images), Build::Image { .. }) => Ok(images.pull(&self.image(service, digest)).await?),
            (None, _) => self.prepare_process(service, digest, output).await,
        }
    }

    /// The image of a service that has or gets one.
    fn image(&self, service: &ServiceSpec, digest: &BuildDigest) -> String {
        match &service.build {
            Build::Image { reference } => {
                dockerfile::alias(&self.aliases, reference).unwrap_or(reference).to_owned()
            }
            _ => format!("msctl/{}/{}:{}", self.platform, service.name, digest.short()),
        }
    }

    fn labels(&self, service: &ServiceSpec, digest: &BuildDigest) -> Vec<(String, String)> {
        let mut labels = labels::of_platform(&self.platform);
        labels.push((labels::SERVICE.to_owned(), service.name.to_string()));
        labels.push((DIGEST_LABEL.to_owned(), digest.0.clone()));
        labels
    }

    async fn run(
        &self,
        service: &ServiceSpec,
        command: &str,
        output: OutputSink<'_>,
    ) -> Result<(), BuildError> {
        let cache = self.place.cache();
        tokio::fs::create_dir_all(&cache).await.map_err(|source| BuildError::file("make", &cache, source))?;
        let environment =
            vec![("MSCTL_CACHE", cache.to_string_lossy().into_owned()), ("MSCTL_TARGET", pack::target())];
        let log = self.place.log(&service.name);
        let request =
            BuildCommand { service: &service.name, command, folder: &service.folder, environment, log };
        command::run(&request, output).await
    }

    /// Runs the build command and keeps its artifact under a name of its own.
    async fn make_artifact(
        &self,
        service: &ServiceSpec,
        digest: &BuildDigest,
        command: &str,
        artifact: &str,
        output: OutputSink<'_>,
    ) -> Result<PathBuf, BuildError> {
        self.run(service, command, output).await?;
        let path = pack::artifact_path(&service.folder, artifact, &self.place);
        if !path.is_file() {
            return Err(BuildError::ArtifactMissing { service: service.name.clone(), path });
        }
        let kept = self.place.artifact(&service.name, digest);
        let (place, name, target) = (Place::new(&self.root), service.name.clone(), kept.clone());
        in_background(move || {
            place.keep_artifact(&path, &target)?;
            place.remove_old(&name)
        })
        .await?;
        Ok(kept)
    }

    async fn load(
        &self,
        images: &dyn Images,
        service: &ServiceSpec,
        digest: &BuildDigest,
        artifact: PathBuf,
    ) -> Result<(), BuildError> {
        let labels = self.labels(service, digest).into_iter().collect();
        let (name, tag) = (service.name.clone(), self.image(service, digest));
        let archive = in_background(move || pack::image(&name, &artifact, &labels, &tag)).await?;
        Ok(images.load(archive).await?)
    }

    async fn build_image(
        &self,
        images: &dyn Images,
        service: &ServiceSpec,
        digest: &BuildDigest,
        file: &Path,
        output: OutputSink<'_>,
    ) -> Result<(), BuildError> {
        let (name, folder, file) = (service.name.clone(), service.folder.clone(), file.to_owned());
        let aliases = self.aliases.clone();
        let collected = in_background(move || context::collect(&name, &folder, &file, &aliases)).await?;
        let Context { archive, dockerfile, base_images, remark } = collected;
        if let Some(remark) = remark {
            output(&remark);
        }
        for base in &base_images {
            ensure_image(images, service, base).await?;
        }
        let tag = self.image(service, digest);
        let labels = self.labels(service, digest);
        Ok(images.build(ImageBuild { context: archive, dockerfile, tag, labels }, output).await?)
    }

    async fn prepare_process(
        &self,
        service: &ServiceSpec,
        digest: &BuildDigest,
        output: OutputSink<'_>,
    ) -> Result<(), BuildError> {
        match Recipe::of(service) {
            Recipe::Artifact { command, artifact } => {
                self.make_artifact(service, digest, command, artifact, output).await.map(drop)
            }
            Recipe::Prepared { command } => {
                if let Some(command) = command {
                    self.run(service, command, output).await?;
                }
                self.place.write_stamp(&self.place.stamp(&service.name, digest))?;
                self.place.remove_old(&service.name)
            }
            Recipe::None => Err(BuildError::NeedsEngine { service: service.name.clone() }),
        }
    }
}

/// How a service is made to run without a container engine.
enum Recipe<'a> {
    /// Its artifact is run.
    Artifact { command: &'a str, artifact: &'a str },
    /// `[process]` says what is run, after this command.
    Prepared { command: Option<&'a str> },
    /// Not at all.
    None,
}

impl<'a> Recipe<'a> {
    fn of(service: &'a ServiceSpec) -> Self {
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

async fn ensure_image(
    images: &dyn Images,
    service: &ServiceSpec,
    base: &BaseImage,
) -> Result<(), BuildError> {
    if images.has(&base.image).await? {
        return Ok(());
    }
    images.pull(&base.image).await.map_err(|error| match error {
        RuntimeError::ImageMissing { reason, .. } => BuildError::BaseImageMissing {
            service: service.name.clone(),
            image: base.image.clone(),
            line: base.line,
            reason,
        },
        other => other.into(),
    })
}

fn digest(
    service: &ServiceSpec,
    root: &Path,
    aliases: &BTreeMap<String, String>,
    has_engine: bool,
) -> Result<BuildDigest, BuildError> {
    let mut digester = Digester::new();
    digester.add("target", pack::target().as_bytes());
    let mut needs_files = true;
    let mut ignored = DockerIgnore::parse("");
    match &service.build {
        Build::Pack { command, artifact } => {
            digester.add("command", command.as_bytes());
            digester.add("artifact", artifact.as_bytes());
        }
        Build::Dockerfile { file } => {
            ignored = DockerIgnore::read(&service.folder)
                .map_err(|source| BuildError::file("read", &service.folder, source))?;
            add_dockerfile(&mut digester, &service.folder.join(file), aliases)?;
        }
        Build::Image { reference } => {
            let image = dockerfile::alias(aliases, reference).unwrap_or(reference);
            digester.add("image", image.as_bytes());
            needs_files = !has_engine;
        }
    }
    if let Some(recipe) = service.process.as_ref().filter(|_| !has_engine) {
        digester.add("process command", recipe.command.as_bytes());
        digester.add("process build", recipe.build.as_deref().unwrap_or_default().as_bytes());
    }
    if needs_files {
        let made = made_by_build(service, root);
        let mut entries = walk::sources(root, &service.folder, ignored)?;
        entries.retain(|entry| made.as_ref() != Some(&service.folder.join(&entry.path)));
        digester.add_files(&service.folder, &entries)?;
    }
    Ok(digester.finish())
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
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BuildError> + Send + 'static,
) -> Result<T, BuildError> {
    tokio::task::spawn_blocking(work).await.expect("the work does not panic, nor is it ever aborted")
}

#[cfg(test)]
mod tests;
