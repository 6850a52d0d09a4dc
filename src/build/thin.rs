//! Images of Dockerfiles without building them anew: the base, which rarely changes, is built by the
//! engine and kept; over it go the copied files, as layers made here.
//!
//! Which Dockerfiles this is good for says [`split`], which copies
//! [`layer::plan`]. Whatever remains in doubt is built by the engine as a whole: the outcome is the
//! same, only later.

use std::path::PathBuf;
use std::sync::Arc;

use crate::model::platform::ServiceSpec;
use crate::runtime::{Extension, ImageBuild, ImageFacts, Images, OutputSink};

use super::builder::in_background;
use super::context::Context;
use super::digest::Digester;
use super::dockerfile::{Split, split};
use super::error::BuildError;
use super::layer::{self, Known, Layer, Planned};
use super::making::lost;
use super::naming::Naming;
use super::walk::Kind;

/// The label that says what the base was made from.
pub const BASE_LABEL: &str = "dev.msctl.base";
/// More questions than this are not asked: every one costs milliseconds, once.
const MOST_QUESTIONS: usize = 500;

/// One image to be had this way.
pub struct Thin<'a> {
    pub images: &'a dyn Images,
    pub service: &'a ServiceSpec,
    pub naming: &'a Naming,
    pub context: Arc<Context>,
    /// What the Dockerfile builds upon, as it is now.
    pub upon: &'a [ImageFacts],
    pub output: OutputSink<'a>,
}

impl Thin<'_> {
    /// The base and what goes over it, without a name yet; `None` where the engine has to build the
    /// image as a whole.
    pub async fn parts(&self) -> Result<Option<Extension>, BuildError> {
        let Some(split) = split(&self.context.text).filter(|_| self.may_try()) else { return Ok(None) };
        let base = self.base(&split).await?;
        let Some(layers) = self.layers(&split, &base).await? else { return Ok(None) };
        let labels = self.naming.labels(&self.service.name).into_iter().collect();
        Ok(Some(Extension { base: base.id, layers, labels, tag: String::new() }))
    }

    /// What an image adds to the Dockerfiles over it is not in their text.
    fn may_try(&self) -> bool {
        self.images.takes_parts() && !self.upon.iter().any(|image| image.has_triggers)
    }

    /// The kept base, or a new one.
    async fn base(&self, split: &Split) -> Result<ImageFacts, BuildError> {
        let digest = self.digest_of_base(split)?;
        let tag = self.naming.base(&self.service.name, &digest);
        let kept = self.images.inspect(&tag).await?;
        if let Some(kept) = kept.filter(|kept| kept.labels.get(BASE_LABEL) == Some(&digest)) {
            return Ok(kept);
        }
        let context = Arc::clone(&self.context);
        let (inputs, text) = (split.inputs.clone(), split.base.clone());
        let archive = in_background(move || context.archive_of(&inputs, &text)).await?;
        let mut labels = self.naming.labels(&self.service.name);
        labels.push((BASE_LABEL.to_owned(), digest));
        let dockerfile = self.context.dockerfile.to_string_lossy().into_owned();
        let request = ImageBuild { context: archive, dockerfile, tag: tag.clone(), labels };
        self.images.build(request, self.output).await?;
        let built = self.images.inspect(&tag).await?;
        Ok(built.ok_or_else(|| lost(tag))?)
    }

    fn digest_of_base(&self, split: &Split) -> Result<String, BuildError> {
        let mut digester = Digester::new();
        digester.add("Dockerfile", split.base.as_bytes());
        for image in self.upon {
            digester.add("upon", image.id.0.as_bytes());
        }
        let named = self.context.named(&split.inputs);
        let files: Vec<_> =
            named.into_iter().filter(|entry| entry.path != self.context.dockerfile).cloned().collect();
        for folder in files.iter().filter(|entry| entry.kind == Kind::Folder) {
            digester.add("folder", folder.path.as_os_str().as_encoded_bytes());
        }
        digester.add_files(&self.context.folder, &files)?;
        Ok(digester.finish().0)
    }

    /// The copies as layers; `None` where they are in doubt.
    async fn layers(&self, split: &Split, base: &ImageFacts) -> Result<Option<Vec<Vec<u8>>>, BuildError> {
        let mut known = Known::new();
        loop {
            match layer::plan(&split.copies, &self.context.entries, &base.folder, &known) {
                Planned::Layers(layers) => return self.pack(layers).await.map(Some),
                Planned::Ask(paths) if known.len() + paths.len() <= MOST_QUESTIONS => {
                    let paths: Vec<PathBuf> = paths.into_iter().collect();
                    let facts = self.images.look_into(&base.id, &paths).await?;
                    known.extend(paths.into_iter().zip(facts));
                }
                Planned::Ask(_) => return Ok(None),
                Planned::Doubtful(reason) => {
                    (self.output)(&format!(
                        "the engine builds all of the image, and not only what differs: {reason}"
                    ));
                    return Ok(None);
                }
            }
        }
    }

    async fn pack(&self, layers: Vec<Layer>) -> Result<Vec<Vec<u8>>, BuildError> {
        let context = Arc::clone(&self.context);
        in_background(move || {
            let pack = |layer: &Layer| layer::pack(layer, |path| context.read(path));
            let packed = layers.iter().map(pack).collect::<Result<_, _>>();
            packed.map_err(|source| BuildError::file("pack", &context.folder, source))
        })
        .await
    }
}
