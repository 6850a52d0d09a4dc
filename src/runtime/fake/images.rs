//! The image side of the fake: names, labels and identities, without any content.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use crate::model::instance::Program;
use crate::model::name::PlatformId;
use crate::runtime::{
    Discarded, Extension, ImageBuild, ImageFacts, ImageId, Images, OutputSink, PathFacts, RuntimeError,
    RuntimeKind, StoredImage, labels,
};

use super::world::{State, World};

#[derive(Clone)]
pub struct FakeImages {
    platform: PlatformId,
    world: Arc<World>,
}

/// What a name stands for.
#[derive(Debug, Clone)]
pub struct FakeImage {
    pub id: ImageId,
    pub labels: BTreeMap<String, String>,
    size: u64,
    layers: Vec<String>,
    named: SystemTime,
}

impl FakeImage {
    /// The identity follows from the content.
    fn of(content: &[&[u8]], labels: BTreeMap<String, String>, below: Option<&Self>) -> Self {
        let mut digest = Sha256::new();
        for part in content {
            digest.update(part);
        }
        digest.update(format!("{labels:?}"));
        let own = content.iter().map(|part| part.len() as u64).sum::<u64>();
        let mut layers = below.map(|image| image.layers.clone()).unwrap_or_default();
        layers.extend(content.iter().map(|part| format!("sha256:{:x}", Sha256::digest(part))));
        Self {
            id: ImageId(format!("sha256:{:x}", digest.finalize())),
            labels,
            size: own + below.map_or(0, |image| image.size),
            layers,
            named: SystemTime::UNIX_EPOCH,
        }
    }

    /// One that is only a name.
    pub fn called(reference: &str) -> Self {
        Self::of(&[reference.as_bytes()], BTreeMap::new(), None)
    }
}

impl State {
    /// Gives an image a name, which another one may have had.
    pub fn name_image(&mut self, reference: &str, mut image: FakeImage) {
        self.named += 1;
        image.named = SystemTime::UNIX_EPOCH + Duration::from_secs(self.named);
        self.images.insert(reference.to_owned(), image);
    }

    /// By name or by identity.
    pub fn image(&self, reference: &str) -> Option<&FakeImage> {
        self.images.get(reference).or_else(|| self.images.values().find(|image| image.id.0 == reference))
    }
}

impl FakeImages {
    pub fn new(platform: PlatformId, world: Arc<World>) -> Self {
        Self { platform, world }
    }

    fn is_ours(&self, image: &FakeImage) -> bool {
        labels::of_platform(&self.platform).iter().all(|(key, value)| image.labels.get(key) == Some(value))
    }
}

#[async_trait]
impl Images for FakeImages {
    async fn has(&self, reference: &str) -> Result<bool, RuntimeError> {
        Ok(self.world.reach()?.image(reference).is_some())
    }

    async fn inspect(&self, reference: &str) -> Result<Option<ImageFacts>, RuntimeError> {
        let state = self.world.reach()?;
        Ok(state.image(reference).map(|image| ImageFacts {
            id: image.id.clone(),
            labels: image.labels.clone(),
            folder: PathBuf::from("/"),
            has_triggers: false,
        }))
    }

    async fn pull(&self, reference: &str) -> Result<(), RuntimeError> {
        let mut state = self.world.act(format!("pull {reference}"))?;
        if !state.registry.contains(reference) {
            let reason = "no registry answers".to_owned();
            return Err(RuntimeError::ImageMissing { reference: reference.to_owned(), reason });
        }
        state.name_image(reference, FakeImage::called(reference));
        Ok(())
    }

    async fn load(&self, archive: Vec<u8>) -> Result<(), RuntimeError> {
        let read = Loaded::read(&archive).ok_or_else(|| RuntimeError::Refused {
            what: "load an image".to_owned(),
            reason: "it is no docker-archive".to_owned(),
        })?;
        let mut state = self.world.act(format!("load {}", read.tags.join(" ")))?;
        for tag in read.tags {
            state.name_image(&tag, read.image.clone());
        }
        Ok(())
    }

    async fn name(&self, image: &ImageId, tag: &str) -> Result<(), RuntimeError> {
        let mut state = self.world.reach()?;
        let found = state.image(&image.0).cloned().ok_or_else(|| RuntimeError::ImageMissing {
            reference: image.0.clone(),
            reason: "there is nothing to name".to_owned(),
        })?;
        state.name_image(tag, found);
        Ok(())
    }

    async fn build(&self, request: ImageBuild, output: OutputSink<'_>) -> Result<(), RuntimeError> {
        output("built in memory");
        let mut state = self.world.act(format!("build {}", request.tag))?;
        let image = FakeImage::of(&[&request.context], request.labels.into_iter().collect(), None);
        state.name_image(&request.tag, image);
        Ok(())
    }

    fn takes_parts(&self) -> bool {
        !self.world.lock().refuses_parts
    }

    /// Images are empty here.
    async fn look_into(&self, _: &ImageId, paths: &[PathBuf]) -> Result<Vec<PathFacts>, RuntimeError> {
        drop(self.world.reach()?);
        Ok(paths.iter().map(|_| PathFacts::Nothing).collect())
    }

    async fn extend(&self, request: Extension) -> Result<ImageId, RuntimeError> {
        if !self.takes_parts() {
            return Err(RuntimeError::Unsupported { kind: RuntimeKind::Fake, what: "take images in parts" });
        }
        let mut state = self.world.act(format!("extend {}", request.tag))?;
        let base = state.image(&request.base.0).cloned();
        let parts: Vec<&[u8]> = request.layers.iter().map(Vec::as_slice).collect();
        let image = FakeImage::of(&parts, request.labels, base.as_ref());
        let id = image.id.clone();
        state.name_image(&request.tag, image);
        Ok(id)
    }

    async fn list(&self) -> Result<Vec<StoredImage>, RuntimeError> {
        let state = self.world.reach()?;
        let mut stored: BTreeMap<ImageId, StoredImage> = BTreeMap::new();
        for (name, image) in state.images.iter().filter(|(_, image)| self.is_ours(image)) {
            let FakeImage { id, labels, size, layers, named } = image.clone();
            let one = stored.entry(id.clone()).or_insert(StoredImage {
                id,
                names: Vec::new(),
                labels,
                size,
                layers,
                named,
            });
            one.names.push(name.clone());
            one.named = one.named.max(named);
        }
        Ok(stored.into_values().collect())
    }

    async fn discard(&self, image: &ImageId) -> Result<Discarded, RuntimeError> {
        let mut state = self.world.act(format!("discard {image}"))?;
        let is_of_image = |reference: &str| state.image(reference).is_some_and(|found| found.id == *image);
        let in_use = state.instances.values().any(|instance| match &instance.spec.program {
            Program::Image { reference } => is_of_image(reference),
            Program::Command { .. } => false,
        });
        if in_use {
            return Ok(Discarded::InUse);
        }
        state.images.retain(|_, found| found.id != *image || !self.is_ours(found));
        Ok(Discarded::Yes)
    }
}

/// What an archive says about its image.
struct Loaded {
    tags: Vec<String>,
    image: FakeImage,
}

impl Loaded {
    fn read(archive: &[u8]) -> Option<Self> {
        let manifest: serde_json::Value = serde_json::from_slice(&file_in(archive, "manifest.json")?).ok()?;
        let tags = manifest.get(0)?.get("RepoTags")?.as_array()?;
        let tags = tags.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect();
        let config_name = manifest.get(0)?.get("Config")?.as_str()?;
        let config: serde_json::Value = serde_json::from_slice(&file_in(archive, config_name)?).ok()?;
        let labels = serde_json::from_value(config["config"]["Labels"].clone()).unwrap_or_default();
        let mut image = FakeImage::of(&[archive], labels, None);
        image.id = ImageId(format!("sha256:{}", config_name.trim_end_matches(".json")));
        Some(Self { tags, image })
    }
}

fn file_in(archive: &[u8], path: &str) -> Option<Vec<u8>> {
    let mut archive = tar::Archive::new(archive);
    let mut entries = archive.entries().ok()?.filter_map(Result::ok);
    let mut entry = entries.find(|entry| entry.path_bytes().as_ref() == path.as_bytes())?;
    let mut content = Vec::new();
    entry.read_to_end(&mut content).ok()?;
    Some(content)
}
