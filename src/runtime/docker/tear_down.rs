//! Removing what the platform's instances shared.

use std::collections::HashMap;

use bollard::models::NetworkDisconnectRequest;
use bollard::query_parameters::{
    InspectContainerOptions, InspectNetworkOptions, RemoveImageOptionsBuilder, RemoveVolumeOptions,
};

use super::Docker;
use super::errors::status_of;
use super::observe::image_names;
use crate::model::observed::{Resource, ResourceKind};
use crate::runtime::{DataFate, RuntimeError, labels};

impl Docker {
    /// What fails stops the rest, and loses nothing: the next call continues there.
    pub(super) async fn remove_shared(&self, data: DataFate) -> Result<Vec<Resource>, RuntimeError> {
        let mut removed = Vec::new();
        self.remove_stills().await?;
        for (id, resource) in self.networks().await? {
            self.disconnect_leftovers(&id).await?;
            self.remove_network(&id).await?;
            removed.push(resource);
        }
        self.forget_network().await;
        for image in self.images_of_platform().await? {
            for name in image_names(&image) {
                self.remove_image(&name).await?;
                removed.push(Resource { kind: ResourceKind::Image, name });
            }
        }
        self.image_users.lock().await.clear();
        if data == DataFate::Delete {
            for volume in self.volumes().await? {
                self.remove_volume(&volume.name).await?;
                removed.push(volume);
            }
        }
        removed.sort();
        Ok(removed)
    }

    /// Takes our own containers off the network, and those that exist no more. Somebody else's
    /// stays, and keeps the network from being removed.
    async fn disconnect_leftovers(&self, network: &str) -> Result<(), RuntimeError> {
        let inspected = match self.api.inspect_network(network, None::<InspectNetworkOptions>).await {
            Err(error) if status_of(&error) == Some(404) => return Ok(()),
            other => other.map_err(self.engine.failed_to(format!("inspect network {network}")))?,
        };
        for container in inspected.containers.unwrap_or_default().into_keys() {
            if self.may_disconnect(&container).await? {
                let request = NetworkDisconnectRequest { container, force: Some(true) };
                let done = self.api.disconnect_network(network, request).await;
                done.map_err(self.engine.failed_to(format!("clear network {network}")))?;
            }
        }
        Ok(())
    }

    async fn may_disconnect(&self, container: &str) -> Result<bool, RuntimeError> {
        match self.api.inspect_container(container, None::<InspectContainerOptions>).await {
            Ok(found) => {
                let labels: HashMap<_, _> = found.config.and_then(|config| config.labels).unwrap_or_default();
                // An image's labels are inherited: those of an instance are given by us alone.
                let is_instance = labels::read_instance(|key| labels.get(key).map(String::as_str)).is_some();
                Ok(is_instance && self.is_ours(&labels))
            }
            Err(error) if status_of(&error) == Some(404) => Ok(true),
            Err(error) => Err(self.engine.failed_to(format!("inspect container {container}"))(error)),
        }
    }

    async fn remove_image(&self, name: &str) -> Result<(), RuntimeError> {
        let options = RemoveImageOptionsBuilder::default().build();
        match self.api.remove_image(name, Some(options), None).await {
            Err(error) if status_of(&error) == Some(404) => Ok(()),
            other => other.map(drop).map_err(self.engine.failed_to(format!("remove image {name}"))),
        }
    }

    async fn remove_volume(&self, name: &str) -> Result<(), RuntimeError> {
        match self.api.remove_volume(name, None::<RemoveVolumeOptions>).await {
            Err(error) if status_of(&error) == Some(404) => Ok(()),
            other => other.map_err(self.engine.failed_to(format!("remove volume {name}"))),
        }
    }
}
