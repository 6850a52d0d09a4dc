//! The image side of a container engine: finding, building, extending and removing images.
//!
//! What is made here carries the platform's labels, and only what carries them is listed or removed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use async_trait::async_trait;

use super::RuntimeError;

/// Building, loading and finding images.
#[async_trait]
pub trait Images: Send + Sync {
    /// Whether the engine has this image, without asking any registry.
    async fn has(&self, reference: &str) -> Result<bool, RuntimeError>;

    /// What the engine has under this name or id; `None` where it has nothing.
    async fn inspect(&self, reference: &str) -> Result<Option<ImageFacts>, RuntimeError>;

    /// Asks the registries for an image that is not there.
    ///
    /// # Errors
    /// [`RuntimeError::ImageMissing`] when no registry has it or none answers.
    async fn pull(&self, reference: &str) -> Result<(), RuntimeError>;

    /// Loads a docker-archive (the format of `docker save`).
    async fn load(&self, archive: Vec<u8>) -> Result<(), RuntimeError>;

    /// Gives an image a name, which another one may have had, or notes that it was named now.
    async fn name(&self, image: &ImageId, tag: &str) -> Result<(), RuntimeError>;

    /// Builds an image; every line of output goes to `output` as it comes. Dropping the future ends
    /// the build and what it runs.
    ///
    /// # Errors
    /// [`RuntimeError::BuildFailed`] with the tail of the failing step's own output.
    async fn build(&self, request: ImageBuild, output: OutputSink<'_>) -> Result<(), RuntimeError>;

    /// Whether [`Images::extend`] is worth trying: the engine has not refused yet.
    fn takes_parts(&self) -> bool;

    /// What an image holds at these paths, in their order. Links are not followed.
    async fn look_into(&self, image: &ImageId, paths: &[PathBuf]) -> Result<Vec<PathFacts>, RuntimeError>;

    /// Makes an image out of another one and more layers, sending nothing but these. The same base,
    /// layers and labels give the same id.
    ///
    /// # Errors
    /// [`RuntimeError::Unsupported`] where the engine takes images only as a whole. It is asked once.
    async fn extend(&self, request: Extension) -> Result<ImageId, RuntimeError>;

    /// The images that carry the platform's labels, sorted by id.
    async fn list(&self) -> Result<Vec<StoredImage>, RuntimeError>;

    /// Removes an image of the platform's with all the names that builds gave it. What is gone
    /// already counts as removed.
    async fn discard(&self, image: &ImageId) -> Result<Discarded, RuntimeError>;
}

/// Takes lines of output as they come.
pub type OutputSink<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// The digest of what an image is: its layers and its settings. The same content has the same id,
/// whatever it is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageId(pub String);

impl std::fmt::Display for ImageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// What an image says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFacts {
    pub id: ImageId,
    pub labels: BTreeMap<String, String>,
    /// Where its programs run; absolute.
    pub folder: PathBuf,
    /// Whether it adds instructions to the Dockerfiles that build upon it.
    pub has_triggers: bool,
}

/// What an image holds at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathFacts {
    Nothing,
    Folder {
        mode: u32,
        owner: (u64, u64),
    },
    File,
    /// A link, a device: something that stands for something else.
    Other,
}

/// What the engine's builder is given.
pub struct ImageBuild {
    /// An uncompressed tar of the build context, Dockerfile included.
    pub context: Vec<u8>,
    /// The Dockerfile's path within the context.
    pub dockerfile: String,
    pub tag: String,
    pub labels: Vec<(String, String)>,
}

/// An image over another one.
pub struct Extension {
    pub base: ImageId,
    /// Each an uncompressed tar, from the lowest on.
    pub layers: Vec<Vec<u8>>,
    /// In place of the base's own.
    pub labels: BTreeMap<String, String>,
    pub tag: String,
}

/// An image that the engine keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredImage {
    pub id: ImageId,
    /// Its tags, sorted.
    pub names: Vec<String>,
    pub labels: BTreeMap<String, String>,
    /// In bytes, with the layers that it shares with others.
    pub size: u64,
    /// The digests of its layers, from the lowest on.
    pub layers: Vec<String>,
    /// When it last was given a name: by a build, even one that only found it.
    pub named: SystemTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discarded {
    Yes,
    /// A container is made from it, or another image is named by somebody else.
    InUse,
}
