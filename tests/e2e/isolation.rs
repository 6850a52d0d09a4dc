//! What a container may do, as the engine itself tells it.

use bollard::models::{ContainerInspectResponse, HostConfig};

use super::client::Client;
use super::services::Service;
use super::stage::{DEADLINE, Runtime, Stage, on_docker};
use super::witness;
use crate::harness::wait::eventually;

async fn only_container(stage: &Stage) -> ContainerInspectResponse {
    let names = witness::container_names(stage).await;
    assert_eq!(names.len(), 1, "{names:?}");
    witness::inspect(stage, &names[0]).await
}

fn host(container: &ContainerInspectResponse) -> &HostConfig {
    container.host_config.as_ref().expect("every container has one")
}

#[tokio::test]
async fn a_container_has_no_right_that_it_does_not_need() {
    on_docker(&[Service::new("order").with_a_database()], async |stage| {
        stage.up().await;
        let container = only_container(stage).await;
        let (config, host) = (container.config.as_ref().unwrap(), host(&container));
        assert_eq!(config.user.as_deref(), Some("10001:10001"));
        assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
        assert_eq!(host.cap_add.as_deref().unwrap_or_default(), <[String; 0]>::default());
        assert_eq!(host.security_opt, Some(vec!["no-new-privileges".to_owned()]));
        assert_eq!(host.readonly_rootfs, Some(true));
        assert_eq!((host.privileged, host.pid_mode.as_deref()), (Some(false), Some("")));
        let refused = stage.msctl(&["exec", "order", "--", "/app/order", "write", "/app/mine", "x"]).await;
        assert_ne!(refused.code, 0);
        assert!(refused.stderr.contains("Read-only file system"), "{}", refused.stderr);
        let written = stage.msctl(&["exec", "order", "--", "/app/order", "write", "/data/mine", "x"]).await;
        assert_eq!(written.code, 0, "{}", written.stderr);
    })
    .await;
}

#[tokio::test]
async fn a_container_is_held_to_its_limits() {
    let order = Service::new("order").run("memory", "\"48MiB\"").run("cpus", "0.5").run("pids", "40");
    on_docker(&[order], async |stage| {
        stage.up().await;
        let container = only_container(stage).await;
        let host = host(&container);
        assert_eq!((host.memory, host.memory_swap), (Some(48 << 20), Some(48 << 20)));
        assert_eq!((host.nano_cpus, host.pids_limit), (Some(500_000_000), Some(40)));
        let log = host.log_config.as_ref().unwrap();
        assert_eq!(log.typ.as_deref(), Some("json-file"));
        let option = |name: &str| log.config.as_ref().and_then(|options| options.get(name)).cloned();
        assert_eq!((option("max-size"), option("max-file")), (Some("10m".into()), Some("3".into())));
    })
    .await;
}

#[tokio::test]
async fn a_container_bears_the_labels_that_find_it_again() {
    on_docker(&[Service::new("order")], async |stage| {
        stage.up().await;
        let labels = only_container(stage).await.config.unwrap().labels.unwrap();
        let id = stage.id().await;
        let value = |name: &str| labels.get(&format!("dev.msctl.{name}")).map(String::as_str);
        assert_eq!(format!("{}-{}", value("platform").unwrap(), value("worktree").unwrap()), id);
        assert_eq!(
            (value("service"), value("generation"), value("replica")),
            (Some("order"), Some("1"), Some("1"))
        );
        assert!(value("spec").is_some_and(|hash| hash.len() == 32));
        assert_eq!(value("port"), Some("8080"));
    })
    .await;
}

#[tokio::test]
async fn only_the_gateway_can_be_reached_from_outside() {
    on_docker(&[Service::new("order")], async |stage| {
        let Client(gateway) = stage.up().await;
        assert!(gateway.ip().is_loopback());
        let container = only_container(stage).await;
        let bound = host(&container).port_bindings.clone().unwrap_or_default();
        assert!(bound.is_empty(), "{bound:?}");
        assert_ne!(host(&container).publish_all_ports, Some(true));
        let networks = container.network_settings.unwrap().networks.unwrap();
        let id = stage.id().await;
        assert_eq!(networks.keys().collect::<Vec<_>>(), [&id]);
    })
    .await;
}

#[tokio::test]
async fn nothing_of_the_host_is_inside_a_container() {
    on_docker(&[Service::new("order").with_a_database()], async |stage| {
        stage.up().await;
        let container = only_container(stage).await;
        let mounts = container.mounts.clone().unwrap_or_default();
        let volumes: Vec<_> = mounts.iter().map(|mount| mount.destination.as_deref()).collect();
        assert_eq!(volumes, [Some("/data")]);
        assert_eq!(host(&container).binds.as_deref().unwrap_or_default(), <[String; 0]>::default());
        for path in ["/var/run/docker.sock", "/run/docker.sock"] {
            let read = stage.msctl(&["exec", "order", "--", "/app/order", "read", path]).await;
            assert!(read.stderr.contains("No such file"), "{path}: {}", read.stderr);
        }
    })
    .await;
}

#[tokio::test]
async fn another_platforms_instances_and_door_cannot_be_reached() {
    on_docker(&[Service::new("order")], async |stage| {
        stage.up().await;
        let Some(engine) = crate::harness::engine::engine() else { return };
        let stranger = Stage::new(Runtime::Docker, Some(engine));
        super::services::write_platform(stranger.folder(), "stranger", &[Service::new("spy")]);
        stranger
            .play(async |stranger| {
                stranger.up().await;
                let order = stage.service("order").await;
                let address = order["instances"][0]["address"].as_str().unwrap().to_owned();
                let ip = witness::network_gateway(stage).await;
                for target in [address, format!("{ip}:7070")] {
                    let url = format!("http://{target}/");
                    // The engine takes its rules away for a moment whenever somebody makes a network.
                    eventually(DEADLINE, "it cannot be reached", async || {
                        let argv = ["exec", "spy", "--", "/app/spy", "fetch", &url];
                        let fetched = stranger.msctl(&argv).await;
                        let answered = fetched.stdout.lines().next().unwrap_or_default();
                        (fetched.code != 0 || answered == "403").then_some(())
                    })
                    .await;
                }
            })
            .await;
    })
    .await;
}
