//! Looking at what carries the platform's labels: instances, and what they share.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum as State, ImageSummary};
use bollard::query_parameters::{
    EventsOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder, ListImagesOptionsBuilder,
    ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::Docker;
use super::connect::Family;
use super::errors::status_of;
use super::specification::container_name;
use crate::model::observed::{InstanceState, ObservedInstance, Resource, ResourceKind};
use crate::runtime::{RuntimeError, labels};

/// How many containers that ended are asked for their exit code at once.
const INSPECTIONS: usize = 8;
/// What engines report for a process that SIGKILL ended.
const KILLED: i32 = 137;
/// How long after a container's end its last event may come.
const LATE_EVENTS: Duration = Duration::from_secs(1);

impl Docker {
    pub(super) async fn shared(&self) -> Result<Vec<Resource>, RuntimeError> {
        let (networks, volumes, images) =
            tokio::try_join!(self.networks(), self.volumes(), self.images_of_platform())?;
        let mut resources: Vec<Resource> = images
            .iter()
            .flat_map(image_names)
            .map(|name| Resource { kind: ResourceKind::Image, name })
            .collect();
        resources.extend(networks.into_iter().map(|(_, resource)| resource));
        resources.extend(volumes);
        resources.sort();
        Ok(resources)
    }

    pub(super) async fn instances(&self) -> Result<Vec<ObservedInstance>, RuntimeError> {
        let options =
            ListContainersOptionsBuilder::default().all(true).filters(&self.ours(Vec::new())).build();
        let listed = self.api.list_containers(Some(options)).await;
        let listed = listed.map_err(self.engine.failed_to("list the containers"))?;
        let found = stream::iter(listed.into_iter().map(|container| self.instance(container)));
        let found: Vec<Option<ObservedInstance>> = found.buffer_unordered(INSPECTIONS).try_collect().await?;
        let mut instances: Vec<ObservedInstance> = found.into_iter().flatten().collect();
        instances.sort_by(|a, b| (&a.name, &a.handle).cmp(&(&b.name, &b.handle)));
        Ok(instances)
    }

    /// `None` where the labels are damaged, or the container is gone by now.
    async fn instance(&self, container: ContainerSummary) -> Result<Option<ObservedInstance>, RuntimeError> {
        let Some(mut instance) = read(&container, &self.network_name()) else { return Ok(None) };
        if let (InstanceState::Running { since }, false) =
            (instance.state, self.has_its_name(&container, &instance))
        {
            instance.state = InstanceState::Renamed { since };
        }
        if matches!(instance.state, InstanceState::Exited { .. }) {
            // Only this needs a second question: the list does not tell why it ended.
            match self.exit_of(&instance.handle).await? {
                Some(state) => instance.state = state,
                None => return Ok(None),
            }
        }
        Ok(Some(instance))
    }

    fn has_its_name(&self, container: &ContainerSummary, instance: &ObservedInstance) -> bool {
        let name = container_name(&self.platform, &instance.name);
        let names = container.names.as_deref().unwrap_or_default();
        names.is_empty() || names.iter().any(|known| known.trim_start_matches('/') == name)
    }

    async fn exit_of(&self, id: &str) -> Result<Option<InstanceState>, RuntimeError> {
        let inspected = match self.api.inspect_container(id, None::<InspectContainerOptions>).await {
            Err(error) if status_of(&error) == Some(404) => return Ok(None),
            other => other.map_err(self.engine.failed_to(format!("inspect container {id}")))?,
        };
        let state = inspected.state.unwrap_or_default();
        let code = state.exit_code.and_then(|code| i32::try_from(code).ok());
        let out_of_memory = match state.oom_killed {
            Some(true) => true,
            _ if code == Some(KILLED) => self.ran_out_of_memory(id, state.finished_at.as_deref()).await,
            _ => false,
        };
        Ok(Some(InstanceState::Exited { code, out_of_memory }))
    }

    /// Whether the engine told that the container, which was killed, had run out of memory. Its state
    /// does not say so where that event came after the one of the end, so the events are asked.
    async fn ran_out_of_memory(&self, id: &str, finished_at: Option<&str>) -> bool {
        let filters = HashMap::from([("container", vec![id]), ("event", vec!["oom"])]);
        let until = last_word(finished_at);
        let options = EventsOptionsBuilder::default().since("1").until(&until).filters(&filters).build();
        // An engine that tells of no events any more, not even of their end, holds up no look.
        let told = tokio::time::timeout(2 * LATE_EVENTS, self.api.events(Some(options)).next()).await;
        matches!(told, Ok(Some(Ok(_))))
    }

    /// Our networks, each with its id.
    pub(super) async fn networks(&self) -> Result<Vec<(String, Resource)>, RuntimeError> {
        let options = ListNetworksOptionsBuilder::default().filters(&self.ours(Vec::new())).build();
        let listed = self.api.list_networks(Some(options)).await;
        let listed = listed.map_err(self.engine.failed_to("list the networks"))?;
        let named = listed.into_iter().filter_map(|network| Some((network.id?, network.name?)));
        Ok(named.map(|(id, name)| (id, Resource { kind: ResourceKind::Network, name })).collect())
    }

    pub(super) async fn volumes(&self) -> Result<Vec<Resource>, RuntimeError> {
        let options = ListVolumesOptionsBuilder::default().filters(&self.ours(Vec::new())).build();
        let listed = self.api.list_volumes(Some(options)).await;
        let listed = listed.map_err(self.engine.failed_to("list the volumes"))?;
        let names = listed.volumes.into_iter().flatten().map(|volume| volume.name);
        Ok(names.map(|name| Resource { kind: ResourceKind::Volume, name }).collect())
    }

    pub(super) async fn images_of_platform(&self) -> Result<Vec<ImageSummary>, RuntimeError> {
        let options = ListImagesOptionsBuilder::default().filters(&self.ours(Vec::new())).build();
        let listed = self.api.list_images(Some(options)).await;
        let mut listed = listed.map_err(self.engine.failed_to("list the images"))?;
        if self.engine.family == Family::Podman {
            // Podman puts the images that no registry has under a host name of its own.
            for tag in listed.iter_mut().flat_map(|image| &mut image.repo_tags) {
                *tag = tag.trim_start_matches("localhost/").to_owned();
            }
        }
        Ok(listed)
    }
}

/// Until when an event about a container that ended at `finished_at` (RFC 3339) may still come, in
/// seconds since the epoch. Only for one that ended just now does that lie ahead.
fn last_word(finished_at: Option<&str>) -> String {
    let finished = finished_at.and_then(|text| humantime::parse_rfc3339_weak(text).ok());
    let until = finished.map_or_else(SystemTime::now, |finished| finished + LATE_EVENTS);
    let since_epoch = until.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:09}", since_epoch.as_secs(), since_epoch.subsec_nanos())
}

/// The tags of an image, or its id where it has none. Where builds of ours tagged it, the tags that
/// somebody else added are not among them.
pub(super) fn image_names(image: &ImageSummary) -> Vec<String> {
    let tags: Vec<&String> = image.repo_tags.iter().filter(|tag| !tag.contains("<none>")).collect();
    let is_build = |tag: &&&String| tag.starts_with("msctl/");
    match tags.iter().any(|tag| is_build(&tag)) {
        true => tags.iter().filter(is_build).map(|tag| (*tag).clone()).collect(),
        false if tags.is_empty() => vec![image.id.clone()],
        false => tags.into_iter().cloned().collect(),
    }
}

fn read(container: &ContainerSummary, network: &str) -> Option<ObservedInstance> {
    let found = container.labels.as_ref()?;
    let label = |key: &str| found.get(key).map(String::as_str);
    let (name, hash) = labels::read_instance(label)?;
    let port = label(labels::PORT)?.parse().ok()?;
    let state = state_of(container);
    let address = state.is_running().then(|| address_of(container, network)).flatten();
    let state = if state.is_running() && address.is_none() { InstanceState::CutOff } else { state };
    Some(ObservedInstance {
        name,
        hash,
        state,
        address: address.map(|address| SocketAddr::new(address, port)),
        handle: container.id.clone()?,
        program: container.image_id.clone(),
    })
}

/// The time of creation stands for that of the start, to the second: the two are one act of ours,
/// and nothing starts a container a second time but a user's own hand.
fn state_of(container: &ContainerSummary) -> InstanceState {
    let created = u64::try_from(container.created.unwrap_or_default()).unwrap_or_default();
    match container.state.unwrap_or(State::EMPTY) {
        State::RUNNING | State::STOPPING => {
            InstanceState::Running { since: SystemTime::UNIX_EPOCH + Duration::from_secs(created) }
        }
        State::PAUSED => InstanceState::Paused,
        State::CREATED | State::EMPTY => InstanceState::Created,
        State::EXITED | State::DEAD | State::REMOVING | State::RESTARTING => {
            InstanceState::Exited { code: None, out_of_memory: false }
        }
    }
}

fn address_of(container: &ContainerSummary, network: &str) -> Option<IpAddr> {
    let networks = container.network_settings.as_ref()?.networks.as_ref()?;
    networks.get(network)?.ip_address.as_ref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::instance::{Generation, InstanceName, SpecHash};
    use bollard::models::{ContainerSummaryNetworkSettings, EndpointSettings};

    fn container(state: State) -> ContainerSummary {
        let name =
            InstanceName { service: "order".parse().unwrap(), generation: Generation::FIRST, replica: 1 };
        let labels = labels::of_instance(&name, &SpecHash("abc".to_owned()), 8080);
        let endpoint = EndpointSettings { ip_address: Some("172.18.0.2".to_owned()), ..Default::default() };
        ContainerSummary {
            id: Some("c1".to_owned()),
            labels: Some(labels.into_iter().collect()),
            state: Some(state),
            created: Some(1_000_000_000),
            network_settings: Some(ContainerSummaryNetworkSettings {
                networks: Some(HashMap::from([("store-3fa9c1".to_owned(), endpoint)])),
            }),
            ..ContainerSummary::default()
        }
    }

    #[test]
    fn a_running_container_is_an_instance_with_the_address_to_dial() {
        let instance = read(&container(State::RUNNING), "store-3fa9c1").unwrap();
        assert_eq!(instance.name.to_string(), "order.v1.1");
        assert_eq!(instance.address, Some("172.18.0.2:8080".parse().unwrap()));
        assert!(instance.state.is_running());
    }

    #[test]
    fn what_does_not_run_has_no_address() {
        for state in [State::CREATED, State::PAUSED, State::EXITED] {
            assert_eq!(read(&container(state), "store-3fa9c1").unwrap().address, None);
        }
    }

    #[test]
    fn a_container_that_was_taken_off_the_network_is_cut_off() {
        let instance = read(&container(State::RUNNING), "other-network").unwrap();
        assert_eq!((instance.state, instance.address), (InstanceState::CutOff, None));
    }

    #[test]
    fn a_container_with_damaged_labels_is_no_instance() {
        let mut damaged = container(State::RUNNING);
        damaged.labels.as_mut().unwrap().remove(labels::GENERATION);
        assert_eq!(read(&damaged, "store-3fa9c1"), None);
    }

    #[test]
    fn events_about_a_container_are_awaited_for_a_moment_after_its_end() {
        assert_eq!(last_word(Some("1970-01-01T00:00:10.25Z")), "11.250000000");
    }

    #[test]
    fn an_image_goes_by_its_tags_and_without_any_by_its_id() {
        let mut image = ImageSummary {
            id: "sha256:1".to_owned(),
            repo_tags: vec!["store/order:1".to_owned()],
            ..ImageSummary::default()
        };
        assert_eq!(image_names(&image), ["store/order:1"]);
        image.repo_tags = vec!["<none>:<none>".to_owned()];
        assert_eq!(image_names(&image), ["sha256:1"]);
        image.repo_tags = vec!["msctl/store-3fa9c1/order:1".to_owned(), "my/own:1".to_owned()];
        assert_eq!(image_names(&image), ["msctl/store-3fa9c1/order:1"]);
    }
}
