//! The engine as [`Images`]: finding, pulling and loading here, the rest in modules of its own.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use bollard::body_full;
use bollard::errors::Error;
use bollard::models::ImageInspect;
use bollard::query_parameters::{CreateImageOptionsBuilder, ImportImageOptions, TagImageOptionsBuilder};
use futures_util::TryStreamExt;

use super::Docker;
use super::errors::{connection_fault, reason_of, status_of};
use crate::runtime::{
    Discarded, Extension, ImageBuild, ImageFacts, ImageId, Images, OutputSink, PathFacts, RuntimeError,
    StoredImage,
};

/// How much longer than other requests a transfer may take until the engine begins to answer.
pub(super) const TRANSFER: Duration = Duration::from_secs(600);

#[async_trait]
impl Images for Docker {
    async fn has(&self, reference: &str) -> Result<bool, RuntimeError> {
        self.has_image(reference).await
    }

    async fn inspect(&self, reference: &str) -> Result<Option<ImageFacts>, RuntimeError> {
        let Some(image) = self.inspected(reference).await? else { return Ok(None) };
        let config = image.config.unwrap_or_default();
        let folder = config.working_dir.filter(|folder| !folder.is_empty()).unwrap_or_else(|| "/".to_owned());
        Ok(Some(ImageFacts {
            id: ImageId(image.id.unwrap_or_default()),
            labels: config.labels.unwrap_or_default().into_iter().collect(),
            folder: folder.into(),
            has_triggers: config.on_build.is_some_and(|triggers| !triggers.is_empty()),
        }))
    }

    async fn pull(&self, reference: &str) -> Result<(), RuntimeError> {
        let mut options = CreateImageOptionsBuilder::default().from_image(reference);
        if !has_tag(reference) {
            // Without a tag, the engine would fetch all there are.
            options = options.tag("latest");
        }
        let api = self.patient(TRANSFER);
        let pulled = api.create_image(Some(options.build()), None, None).try_for_each(|_| async { Ok(()) });
        self.image_users.lock().await.remove(reference);
        match pulled.await {
            Ok(()) => Ok(()),
            Err(error) if connection_fault(&error).is_some() => {
                Err(self.engine.failed_to(format!("pull image {reference}"))(error))
            }
            Err(error) => Err(missing(reference, &error)),
        }
    }

    async fn load(&self, archive: Vec<u8>) -> Result<(), RuntimeError> {
        let api = self.patient(TRANSFER);
        let loading = api.import_image(ImportImageOptions::default(), body_full(archive.into()), None);
        loading.try_for_each(|_| async { Ok(()) }).await.map_err(self.engine.failed_to("load an image"))?;
        self.image_users.lock().await.clear();
        Ok(())
    }

    async fn name(&self, image: &ImageId, tag: &str) -> Result<(), RuntimeError> {
        let (repository, version) = tag.rsplit_once(':').unwrap_or((tag, "latest"));
        let options = TagImageOptionsBuilder::default().repo(repository).tag(version).build();
        let named = self.api.tag_image(&image.0, Some(options)).await;
        named.map_err(self.engine.failed_to(format!("name an image {tag}")))?;
        self.image_users.lock().await.remove(tag);
        Ok(())
    }

    async fn build(&self, request: ImageBuild, output: OutputSink<'_>) -> Result<(), RuntimeError> {
        self.image_users.lock().await.remove(&request.tag);
        self.build_image(request, output).await
    }

    fn takes_parts(&self) -> bool {
        !self.refuses_parts.load(Ordering::Relaxed)
    }

    async fn look_into(&self, image: &ImageId, paths: &[PathBuf]) -> Result<Vec<PathFacts>, RuntimeError> {
        self.facts_of(image, paths).await
    }

    async fn extend(&self, request: Extension) -> Result<ImageId, RuntimeError> {
        self.extend_image(request).await
    }

    async fn list(&self) -> Result<Vec<StoredImage>, RuntimeError> {
        self.stored_images().await
    }

    async fn discard(&self, image: &ImageId) -> Result<Discarded, RuntimeError> {
        self.discard_image(image).await
    }
}

impl Docker {
    pub(super) async fn has_image(&self, reference: &str) -> Result<bool, RuntimeError> {
        Ok(self.inspect_user(reference).await?.is_some())
    }

    /// The user that an image asks for; asked of the engine once, if looking for it has not told.
    pub(super) async fn image_user(&self, reference: &str) -> Result<String, RuntimeError> {
        if let Some(known) = self.image_users.lock().await.get(reference) {
            return Ok(known.clone());
        }
        self.inspect_user(reference).await?.ok_or_else(|| missing_here(reference))
    }

    /// Notes the user of an image; `None` where there is no such image.
    async fn inspect_user(&self, reference: &str) -> Result<Option<String>, RuntimeError> {
        let image = self.inspected(reference).await?;
        Ok(image.map(|image| image.config.and_then(|config| config.user).unwrap_or_default()))
    }

    async fn inspected(&self, reference: &str) -> Result<Option<ImageInspect>, RuntimeError> {
        let image = match self.api.inspect_image(reference).await {
            Err(error) if status_of(&error) == Some(404) => return Ok(None),
            other => other.map_err(self.engine.failed_to(format!("inspect image {reference}")))?,
        };
        let user = image.config.as_ref().and_then(|config| config.user.clone()).unwrap_or_default();
        let mut users = self.image_users.lock().await;
        // Instances may be given the image by its id.
        users.extend(image.id.clone().map(|id| (id, user.clone())));
        users.insert(reference.to_owned(), user);
        Ok(Some(image))
    }
}

/// `redis:7` and `redis@sha256:…` have one, `redis` and `localhost:5000/redis` do not.
fn has_tag(reference: &str) -> bool {
    let name = reference.rsplit('/').next().unwrap_or(reference);
    name.contains([':', '@'])
}

fn missing_here(reference: &str) -> RuntimeError {
    RuntimeError::ImageMissing {
        reference: reference.to_owned(),
        reason: "it was neither built nor pulled".to_owned(),
    }
}

fn missing(reference: &str, error: &Error) -> RuntimeError {
    RuntimeError::ImageMissing { reference: reference.to_owned(), reason: pull_fault(&reason_of(error)) }
}

/// The engine's words for a registry that cannot be reached are long, and name servers and proxies.
fn pull_fault(said: &str) -> String {
    const NO_ANSWER: [&str; 7] = [
        "dial tcp",
        "no such host",
        "connection refused",
        "i/o timeout",
        "Client.Timeout",
        "deadline exceeded",
        "proxyconnect",
    ];
    const NOT_THERE: [&str; 4] = ["not found", "manifest unknown", "does not exist", "pull access denied"];
    if NO_ANSWER.iter().any(|sign| said.contains(sign)) {
        "no registry answers".to_owned()
    } else if NOT_THERE.iter().any(|sign| said.contains(sign)) {
        "the registry does not have it, or wants a login first".to_owned()
    } else {
        said.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_a_registry_is_no_tag() {
        assert!(has_tag("redis:7") && has_tag("localhost:5000/a/redis:7") && has_tag("redis@sha256:00"));
        assert!(!has_tag("redis") && !has_tag("localhost:5000/redis"));
    }

    #[test]
    fn why_a_pull_failed_is_short() {
        assert_eq!(pull_fault("Get https://r/v2/: dial tcp: lookup r: no such host"), "no registry answers");
        assert_eq!(
            pull_fault("pull access denied for x, repository does not exist or may require 'docker login'"),
            "the registry does not have it, or wants a login first"
        );
        assert_eq!(pull_fault("no space left on device"), "no space left on device");
    }
}
