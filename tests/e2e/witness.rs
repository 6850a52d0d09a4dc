//! Looks at the engine behind msctl's back, and keeps what a failed scenario leaves to look at.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerSummary, ImageSummary, NetworkCreateRequest,
    VolumeCreateRequest,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ImportImageOptionsBuilder, InspectContainerOptions, InspectNetworkOptions,
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptionsBuilder,
    ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder, RemoveImageOptions, RemoveVolumeOptions,
    StartContainerOptions,
};
use futures_util::TryStreamExt;

use super::stage::Stage;
use crate::harness::engine::Engine;
use crate::harness::image::TestImage;

/// The engine itself.
pub fn engine_of(stage: &Stage) -> bollard::Docker {
    let connected = match stage.engine.as_ref().and_then(Engine::host) {
        Some(host) => bollard::Docker::connect_with_host(host),
        None => bollard::Docker::connect_with_local_defaults(),
    };
    connected.expect("the engine is there")
}

async fn labels_of(stage: &Stage) -> HashMap<String, Vec<String>> {
    let id = stage.id().await;
    let (name, worktree) = id.rsplit_once('-').expect("name-worktree");
    let labels = [format!("dev.msctl.platform={name}"), format!("dev.msctl.worktree={worktree}")];
    HashMap::from([("label".to_owned(), labels.to_vec())])
}

/// Every container of the platform, whatever its state.
pub async fn containers(stage: &Stage) -> Vec<ContainerSummary> {
    let options = ListContainersOptionsBuilder::default().all(true).filters(&labels_of(stage).await).build();
    engine_of(stage).list_containers(Some(options)).await.expect("the engine answers")
}

/// Their names, sorted.
pub async fn container_names(stage: &Stage) -> Vec<String> {
    let names = containers(stage).await.into_iter().flat_map(|found| found.names.unwrap_or_default());
    let mut names: Vec<String> = names.map(|name| name.trim_start_matches('/').to_owned()).collect();
    names.sort();
    names
}

pub async fn inspect(stage: &Stage, container: &str) -> ContainerInspectResponse {
    let inspected = engine_of(stage).inspect_container(container, None::<InspectContainerOptions>).await;
    inspected.expect("the container is there")
}

/// Everything on the engine that bears the platform's labels.
pub async fn everything(stage: &Stage) -> Vec<String> {
    let (engine, filters) = (engine_of(stage), labels_of(stage).await);
    let networks = ListNetworksOptionsBuilder::default().filters(&filters).build();
    let networks = engine.list_networks(Some(networks)).await.expect("the engine answers");
    let volumes = ListVolumesOptionsBuilder::default().filters(&filters).build();
    let volumes = engine.list_volumes(Some(volumes)).await.expect("the engine answers");
    let images = ListImagesOptionsBuilder::default().filters(&filters).build();
    let images = engine.list_images(Some(images)).await.expect("the engine answers");
    let mut all = container_names(stage).await;
    all.extend(networks.into_iter().filter_map(|network| network.name));
    all.extend(volumes.volumes.into_iter().flatten().map(|volume| volume.name));
    // By its tags, if it has any.
    let name =
        |image: ImageSummary| if image.repo_tags.is_empty() { vec![image.id] } else { image.repo_tags };
    all.extend(images.into_iter().flat_map(name));
    all.sort();
    all
}

/// Puts what there is to see into `target/e2e/<test>`.
pub async fn keep_traces(stage: &Stage) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("unnamed").replace("::", ".");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("e2e").join(test);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the target folder is ours");
    let keep = |name: &str, text: &str| fs::write(folder.join(name), text).expect("the folder is ours");
    keep("transcript.txt", &stage.transcript());
    keep("ps.json", &stage.msctl(&["ps", "--format", "json"]).await.stdout);
    keep("logs.txt", &stage.msctl(&["logs", "-n", "1000"]).await.stdout);
    let states = fs::read_dir(stage.state()).into_iter().flatten().filter_map(Result::ok);
    for state in states {
        let log = fs::read_to_string(state.path().join("platform.log")).unwrap_or_default();
        keep("platform.log", &log);
    }
    if stage.engine.is_some() {
        keep("inspect.json", &inspect_all(stage).await);
    }
}

async fn inspect_all(stage: &Stage) -> String {
    let mut inspected = Vec::new();
    for container in containers(stage).await {
        let id = container.id.unwrap_or_default();
        // One that has gone since cannot be shown any more.
        let found = engine_of(stage).inspect_container(&id, None::<InspectContainerOptions>).await;
        inspected.extend(found.ok());
    }
    serde_json::to_string_pretty(&inspected).expect("it came as JSON")
}

/// The address at which the platform's network leads to the host.
pub async fn network_gateway(stage: &Stage) -> String {
    let options = None::<InspectNetworkOptions>;
    let inspected = engine_of(stage).inspect_network(&stage.id().await, options).await;
    let network = inspected.expect("the network is there");
    let pools = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
    pools.into_iter().find_map(|pool| pool.gateway).expect("a bridge has a gateway")
}

/// A container, a network and a volume with names that look like the platform's, and which are
/// somebody else's.
pub struct Bystanders {
    engine: bollard::Docker,
    name: String,
    image: String,
}

impl Bystanders {
    pub async fn beside(stage: &Stage) -> Self {
        let name = format!("{}-order-v1-9", stage.id().await);
        let bystanders = Self { engine: engine_of(stage), image: format!("{name}:1"), name };
        let archive =
            TestImage { tag: &bystanders.image, labels: Vec::new(), user: "", entrypoint: "/responder" }
                .archive();
        bystanders.settle(archive).await.expect("the engine takes them");
        bystanders
    }

    async fn settle(&self, archive: Vec<u8>) -> Result<(), bollard::errors::Error> {
        let Self { engine, name, image } = self;
        let options = ImportImageOptionsBuilder::default().build();
        let loaded = engine.import_image(options, bollard::body_full(archive.into()), None);
        loaded.try_collect::<Vec<_>>().await?;
        let network = NetworkCreateRequest { name: name.clone(), ..NetworkCreateRequest::default() };
        engine.create_network(network).await?;
        let volume = VolumeCreateRequest { name: Some(name.clone()), ..VolumeCreateRequest::default() };
        engine.create_volume(volume).await?;
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        let container = ContainerCreateBody { image: Some(image.clone()), ..ContainerCreateBody::default() };
        engine.create_container(Some(options), container).await?;
        engine.start_container(name, None::<StartContainerOptions>).await
    }

    pub async fn are_unharmed(&self) {
        let Self { engine, name, .. } = self;
        let container = engine.inspect_container(name, None::<InspectContainerOptions>).await;
        let running = container.expect("the container is there").state.and_then(|state| state.running);
        assert_eq!(running, Some(true));
        engine.inspect_network(name, None::<InspectNetworkOptions>).await.expect("the network is there");
        engine.inspect_volume(name).await.expect("the volume is there");
    }

    /// Removes them again.
    pub async fn leave(self) {
        let Self { engine, name, image } = self;
        let force = RemoveContainerOptionsBuilder::default().force(true).build();
        engine.remove_container(&name, Some(force)).await.expect("it is ours");
        engine.remove_network(&name).await.expect("it is ours");
        engine.remove_volume(&name, None::<RemoveVolumeOptions>).await.expect("it is ours");
        engine.remove_image(&image, None::<RemoveImageOptions>, None).await.expect("it is ours");
    }
}
