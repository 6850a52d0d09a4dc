//! The image side of the fake: names only.

use std::io::Read;
use std::sync::Arc;

use async_trait::async_trait;

use crate::runtime::{ImageBuild, Images, OutputSink, RuntimeError};

use super::world::World;

#[derive(Clone)]
pub struct FakeImages {
    world: Arc<World>,
}

impl FakeImages {
    pub fn new(world: Arc<World>) -> Self {
        Self { world }
    }
}

#[async_trait]
impl Images for FakeImages {
    async fn has(&self, reference: &str) -> Result<bool, RuntimeError> {
        Ok(self.world.reach()?.images.contains(reference))
    }

    async fn pull(&self, reference: &str) -> Result<(), RuntimeError> {
        let mut state = self.world.act(format!("pull {reference}"))?;
        if !state.registry.contains(reference) {
            let reason = "no registry answers".to_owned();
            return Err(RuntimeError::ImageMissing { reference: reference.to_owned(), reason });
        }
        state.images.insert(reference.to_owned());
        Ok(())
    }

    async fn load(&self, archive: Vec<u8>) -> Result<(), RuntimeError> {
        let tags = tags_of(&archive).ok_or_else(|| RuntimeError::Refused {
            what: "load an image".to_owned(),
            reason: "it is no docker-archive".to_owned(),
        })?;
        let mut state = self.world.act(format!("load {}", tags.join(" ")))?;
        state.images.extend(tags);
        Ok(())
    }

    async fn build(&self, request: ImageBuild, output: OutputSink<'_>) -> Result<(), RuntimeError> {
        output("built in memory");
        let mut state = self.world.act(format!("build {}", request.tag))?;
        state.images.insert(request.tag);
        Ok(())
    }
}

/// The names that the archive's `manifest.json` gives its image.
fn tags_of(archive: &[u8]) -> Option<Vec<String>> {
    let mut archive = tar::Archive::new(archive);
    let mut entries = archive.entries().ok()?.filter_map(Result::ok);
    let mut manifest = entries.find(|entry| entry.path_bytes().as_ref() == b"manifest.json")?;
    let mut text = String::new();
    manifest.read_to_string(&mut text).ok()?;
    let manifest: serde_json::Value = serde_json::from_str(&text).ok()?;
    let tags = manifest.get(0)?.get("RepoTags")?.as_array()?;
    Some(tags.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect())
}
