//! Finding, pulling and loading images.

use std::time::Duration;

use async_trait::async_trait;
use bollard::body_full;
use bollard::errors::Error;
use bollard::query_parameters::{CreateImageOptionsBuilder, ImportImageOptions};
use futures_util::TryStreamExt;

use super::Docker;
use super::errors::{connection_fault, reason_of, status_of};
use crate::runtime::{ImageBuild, Images, OutputSink, RuntimeError};

/// How much longer than other requests a transfer may take until the engine begins to answer.
pub(super) const TRANSFER: Duration = Duration::from_secs(600);

#[async_trait]
impl Images for Docker {
    async fn has(&self, reference: &str) -> Result<bool, RuntimeError> {
        self.has_image(reference).await
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

    async fn build(&self, request: ImageBuild, output: OutputSink<'_>) -> Result<(), RuntimeError> {
        self.image_users.lock().await.remove(&request.tag);
        self.build_image(request, output).await
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
        let image = match self.api.inspect_image(reference).await {
            Err(error) if status_of(&error) == Some(404) => return Ok(None),
            other => other.map_err(self.engine.failed_to(format!("inspect image {reference}")))?,
        };
        let user = image.config.and_then(|config| config.user).unwrap_or_default();
        self.image_users.lock().await.insert(reference.to_owned(), user.clone());
        Ok(Some(user))
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
