//! Building: the strategies, with and without a container engine, each watched for what becomes of
//! the sources meanwhile.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::model::instance::{BuildDigest, Program};
use crate::model::platform::{Build, ServiceSpec};
use crate::runtime::{Extension, ImageBuild, ImageFacts, Images, OutputSink, RuntimeError};

use super::builder::{Builder, Recipe, executed, in_background};
use super::changes::Around;
use super::command::{self, BuildCommand};
use super::context::{self, Context};
use super::dockerfile::BaseImage;
use super::error::BuildError;
use super::pack;
use super::place::Place;
use super::thin::Thin;

/// What a build gave.
#[derive(Debug)]
pub struct Made {
    /// What runs, by what it is rather than by what it was made from.
    pub program: Program,
    pub way: Way,
    /// Whether it is kept under the digest that was asked for.
    pub marked: Marked,
    /// The sources before and after a command of this machine; empty for the engine's own builder,
    /// which has a copy of them.
    pub sources: Around,
    /// Until everything was compiled and collected.
    pub built_in: Duration,
    /// From there until the engine had it.
    pub shipped_in: Duration,
}

/// How it was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By a command on this machine.
    Command,
    /// The changed layers alone were sent to the engine.
    Layers,
    /// By the engine, from its Dockerfile.
    Engine,
    /// It was there, or a registry had it.
    Found,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marked {
    Yes,
    /// The sources changed while it was built: it may hold some of the old and some of the new.
    No,
}

impl Builder {
    /// Builds the service; every line of output goes to `output` as it comes. Dropping the future ends the
    /// build. The outcome is kept under the digest only where the sources were of this digest from
    /// beginning to end; else it can run all the same, and [`Builder::built`] does not find it.
    pub async fn make(
        &self,
        service: &ServiceSpec,
        digest: &BuildDigest,
        output: OutputSink<'_>,
    ) -> Result<Made, BuildError> {
        let job = Job { builder: self, service, digest, output, begun: Instant::now() };
        match (self.images(), &service.build) {
            (Some(images), Build::Pack { command, artifact }) => job.pack(images, command, artifact).await,
            (Some(images), Build::Dockerfile { file }) => job.follow_dockerfile(images, file).await,
            (Some(images), Build::Image { .. }) => job.pull(images).await,
            (None, _) => job.prepare().await,
        }
    }
}

/// One build.
struct Job<'a> {
    builder: &'a Builder,
    service: &'a ServiceSpec,
    digest: &'a BuildDigest,
    output: OutputSink<'a>,
    begun: Instant,
}

impl Job<'_> {
    async fn pack(&self, images: &dyn Images, command: &str, artifact: &str) -> Result<Made, BuildError> {
        let sources = self.run(command).await?;
        let artifact = self.artifact(artifact)?;
        let marked = self.mark(&sources).await?;
        let labels = self.builder.naming.labels(&self.service.name).into_iter().collect();
        let (name, tag) = (self.service.name.clone(), self.tag(marked));
        let packed = in_background(move || pack::image(&name, &artifact, &labels, &tag)).await?;
        let built_in = self.begun.elapsed();
        images.load(packed.archive).await?;
        images.name(&packed.id, &self.tag(marked)).await?;
        Ok(self.made(Program::Image { reference: packed.id.0 }, Way::Command, marked, sources, built_in))
    }

    async fn follow_dockerfile(&self, images: &dyn Images, file: &Path) -> Result<Made, BuildError> {
        let (name, folder, file) = (self.service.name.clone(), self.service.folder.clone(), file.to_owned());
        let aliases = self.builder.aliases.clone();
        let context = in_background(move || context::collect(&name, &folder, &file, &aliases)).await?;
        if let Some(remark) = &context.remark {
            (self.output)(remark);
        }
        let mut upon = Vec::new();
        for base in &context.base_images {
            upon.push(provide(images, self.service, base).await?);
        }
        let context = Arc::new(context);
        match self.extend(images, &context, &upon).await? {
            Some(made) => Ok(made),
            None => self.build_whole(images, context).await,
        }
    }

    /// `None` where the engine has to build the image as a whole.
    async fn extend(
        &self,
        images: &dyn Images,
        context: &Arc<Context>,
        upon: &[ImageFacts],
    ) -> Result<Option<Made>, BuildError> {
        let (service, naming, output) = (self.service, &self.builder.naming, self.output);
        let thin = Thin { images, service, naming, context: Arc::clone(context), upon, output };
        let Some(parts) = thin.parts().await? else { return Ok(None) };
        let marked = self.mark(&Around::default()).await?;
        let built_in = self.begun.elapsed();
        match images.extend(Extension { tag: self.tag(marked), ..parts }).await {
            Ok(id) => {
                let program = Program::Image { reference: id.0 };
                Ok(Some(self.made(program, Way::Layers, marked, Around::default(), built_in)))
            }
            Err(RuntimeError::Unsupported { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn build_whole(&self, images: &dyn Images, context: Arc<Context>) -> Result<Made, BuildError> {
        let dockerfile = context.dockerfile.to_string_lossy().into_owned();
        let archive = in_background(move || context.archive()).await?;
        let marked = self.mark(&Around::default()).await?;
        let (tag, labels) = (self.tag(marked), self.builder.naming.labels(&self.service.name));
        let request = ImageBuild { context: archive, dockerfile, tag: tag.clone(), labels };
        images.build(request, self.output).await?;
        let built_in = self.begun.elapsed();
        let image = images.inspect(&tag).await?.ok_or_else(|| lost(tag))?;
        Ok(self.made(
            Program::Image { reference: image.id.0 },
            Way::Engine,
            marked,
            Around::default(),
            built_in,
        ))
    }

    async fn pull(&self, images: &dyn Images) -> Result<Made, BuildError> {
        images.pull(&self.builder.image(self.service, self.digest)).await?;
        let program = self.builder.program(self.service, self.digest);
        Ok(self.made(program, Way::Found, Marked::Yes, Around::default(), self.begun.elapsed()))
    }

    async fn prepare(&self) -> Result<Made, BuildError> {
        let (place, name) = (&self.builder.place, &self.service.name);
        match Recipe::of(self.service) {
            Recipe::Artifact { command, artifact } => {
                let sources = self.run(command).await?;
                let artifact = self.artifact(artifact)?;
                let marked = self.mark(&sources).await?;
                let built_in = self.begun.elapsed();
                let program = self.keep(artifact, marked).await?;
                Ok(self.made(executed(self.service, &program), Way::Command, marked, sources, built_in))
            }
            Recipe::Prepared { command } => {
                let sources = match command {
                    Some(command) => self.run(command).await?,
                    None => Around::default(),
                };
                let marked = self.mark(&sources).await?;
                if marked == Marked::Yes {
                    place.stamp_prepared(name, self.digest)?;
                }
                let program = self.builder.program(self.service, self.digest);
                Ok(self.made(program, Way::Command, marked, sources, self.begun.elapsed()))
            }
            Recipe::None => Err(BuildError::NeedsEngine { service: name.clone() }),
        }
    }

    async fn keep(&self, artifact: PathBuf, marked: Marked) -> Result<PathBuf, BuildError> {
        let (place, name, digest) =
            (Place::new(&self.builder.root), self.service.name.clone(), self.digest.clone());
        in_background(move || {
            let program = place.keep_program(&name, &artifact)?;
            if marked == Marked::Yes {
                place.link(&name, &digest, &program)?;
            }
            Ok(program)
        })
        .await
    }

    /// Runs a command, and looks at the sources before and after.
    async fn run(&self, command: &str) -> Result<Around, BuildError> {
        let before = self.builder.snapshot(self.service).await?;
        let cache = self.builder.place.cache();
        tokio::fs::create_dir_all(&cache).await.map_err(|source| BuildError::file("make", &cache, source))?;
        let environment =
            vec![("MSCTL_CACHE", cache.to_string_lossy().into_owned()), ("MSCTL_TARGET", pack::target())];
        let (service, folder) = (&self.service.name, self.service.folder.as_path());
        let log = self.builder.place.log(service);
        command::run(&BuildCommand { service, command, folder, environment, log }, self.output).await?;
        let after = self.builder.snapshot(self.service).await?;
        Ok(Around { before, after })
    }

    /// Where the command left its artifact.
    fn artifact(&self, artifact: &str) -> Result<PathBuf, BuildError> {
        let path = pack::artifact_path(&self.service.folder, artifact, &self.builder.place);
        if path.is_file() {
            return Ok(path);
        }
        Err(BuildError::ArtifactMissing { service: self.service.name.clone(), path })
    }

    /// Whether what was read since the build began is what the digest says.
    async fn mark(&self, sources: &Around) -> Result<Marked, BuildError> {
        let is_true =
            sources.before == sources.after && self.builder.digest(self.service).await? == *self.digest;
        Ok(if is_true { Marked::Yes } else { Marked::No })
    }

    fn tag(&self, marked: Marked) -> String {
        match marked {
            Marked::Yes => self.builder.image(self.service, self.digest),
            Marked::No => self.builder.naming.unmarked(&self.service.name),
        }
    }

    fn made(&self, program: Program, way: Way, marked: Marked, sources: Around, built_in: Duration) -> Made {
        let shipped_in = self.begun.elapsed().saturating_sub(built_in);
        Made { program, way, marked, sources, built_in, shipped_in }
    }
}

/// An image that a Dockerfile builds upon.
async fn provide(
    images: &dyn Images,
    service: &ServiceSpec,
    base: &BaseImage,
) -> Result<ImageFacts, BuildError> {
    if let Some(found) = images.inspect(&base.image).await? {
        return Ok(found);
    }
    images.pull(&base.image).await.map_err(|error| match error {
        RuntimeError::ImageMissing { reason, .. } => BuildError::BaseImageMissing {
            service: service.name.clone(),
            image: base.image.clone(),
            line: base.line,
            reason,
        },
        other => other.into(),
    })?;
    images.inspect(&base.image).await?.ok_or_else(|| lost(base.image.clone()).into())
}

/// For an image that was there a moment ago.
pub fn lost(reference: String) -> RuntimeError {
    RuntimeError::ImageMissing { reference, reason: "it is gone again".to_owned() }
}
