//! The images that builds left: listing them, and giving up some.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use bollard::models::{ImageInspect, ImageSummary};
use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveImageOptionsBuilder};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::Docker;
use super::errors::status_of;
use super::observe::image_names;
use crate::runtime::{Discarded, ImageId, RuntimeError, StoredImage};

/// How many images are asked for at once.
const AT_ONCE: usize = 8;

impl Docker {
    pub(super) async fn stored_images(&self) -> Result<Vec<StoredImage>, RuntimeError> {
        let listed = self.images_of_platform().await?;
        let asked = stream::iter(listed.into_iter().map(|image| self.stored(image)));
        let stored: Vec<Option<StoredImage>> = asked.buffered(AT_ONCE).try_collect().await?;
        let mut stored: Vec<StoredImage> = stored.into_iter().flatten().collect();
        stored.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(stored)
    }

    /// `None` where it is gone by now.
    async fn stored(&self, image: ImageSummary) -> Result<Option<StoredImage>, RuntimeError> {
        match self.api.inspect_image(&image.id).await {
            Err(error) if status_of(&error) == Some(404) => Ok(None),
            Err(error) => Err(self.engine.failed_to(format!("inspect image {}", image.id))(error)),
            Ok(inspected) => Ok(Some(stored(&image, inspected))),
        }
    }

    pub(super) async fn discard_image(&self, image: &ImageId) -> Result<Discarded, RuntimeError> {
        let listed = self.images_of_platform().await?;
        let Some(found) = listed.into_iter().find(|listed| listed.id == image.0) else {
            return Ok(Discarded::Yes);
        };
        // Its names would go one by one before the engine says that it needs the image.
        if self.is_in_use(image).await? {
            return Ok(Discarded::InUse);
        }
        for name in image_names(&found) {
            let options = RemoveImageOptionsBuilder::default().build();
            match self.api.remove_image(&name, Some(options), None).await {
                Err(error) if status_of(&error) == Some(409) => return Ok(Discarded::InUse),
                Err(error) if status_of(&error) == Some(404) => {}
                other => drop(other.map_err(self.engine.failed_to(format!("remove image {name}")))?),
            }
            self.image_users.lock().await.remove(&name);
        }
        self.image_users.lock().await.remove(&image.0);
        Ok(Discarded::Yes)
    }

    async fn is_in_use(&self, image: &ImageId) -> Result<bool, RuntimeError> {
        let filter = HashMap::from([("ancestor", vec![image.0.as_str()])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filter).build();
        let made = self.api.list_containers(Some(options)).await;
        Ok(!made.map_err(self.engine.failed_to("list the containers"))?.is_empty())
    }
}

fn stored(image: &ImageSummary, inspected: ImageInspect) -> StoredImage {
    let since = inspected.metadata.and_then(|metadata| metadata.last_tag_time).map(SystemTime::from);
    let created = u64::try_from(image.created).unwrap_or_default();
    let mut names: Vec<String> =
        image.repo_tags.iter().filter(|tag| !tag.contains("<none>")).cloned().collect();
    names.sort();
    StoredImage {
        id: ImageId(image.id.clone()),
        names,
        labels: image.labels.clone().into_iter().collect(),
        size: u64::try_from(image.size).unwrap_or_default(),
        layers: inspected.root_fs.and_then(|root| root.layers).unwrap_or_default(),
        named: since.unwrap_or(SystemTime::UNIX_EPOCH + Duration::from_secs(created)),
    }
}
