//! Launching, stopping, removing and seeing containers.

use std::time::Duration;

use bollard::query_parameters::{InspectContainerOptions, RenameContainerOptionsBuilder};
use futures_util::StreamExt;
use msctl::model::instance::Program;
use msctl::model::observed::InstanceState;
use msctl::runtime::{Change, Runtime, RuntimeError, StopOutcome};

use super::platform::{on_a_platform, replica};

const GRACE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_launched_instance_answers_at_the_address_that_is_observed() {
    on_a_platform(async |platform| {
        platform.launch(&[("SERVICE_NAME", "order"), ("SERVICE_GENERATION", "1")]).await;
        assert_eq!(platform.get("/").await, "ok order 1 order");
        assert_eq!(platform.get("/env/PORT").await, "8080");
        let instances = platform.instances().await;
        assert_eq!(instances.len(), 1);
        assert_eq!(instances[0].name, replica(1));
        assert_eq!(instances[0].hash, platform.spec(&[]).hash);
        let InstanceState::Running { since } = instances[0].state else { panic!("it runs") };
        assert!(since.elapsed().unwrap() < Duration::from_secs(60));
    })
    .await;
}

#[tokio::test]
async fn the_engine_confirms_that_an_instance_is_locked_in() {
    on_a_platform(async |platform| {
        platform.launch(&[]).await;
        let id = &platform.instances().await[0].handle;
        let found = platform.behind().inspect_container(id, None::<InspectContainerOptions>).await.unwrap();
        assert_eq!(found.config.unwrap().user.as_deref(), Some("10001:10001"));
        let host = found.host_config.unwrap();
        assert_eq!(host.readonly_rootfs, Some(true));
        assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
        assert_eq!(host.memory, Some(32 << 20));
        assert_eq!(host.nano_cpus, Some(1_000_000_000));
        assert_eq!(host.pids_limit, Some(50));
        assert!(host.port_bindings.unwrap_or_default().is_empty());
        let write = |path: &str| super::output::exec(&["/responder", "write", path, "x"]);
        assert_eq!(platform.docker.exec(&replica(1), &write("/x")).await.unwrap(), 1);
        assert_eq!(platform.docker.exec(&replica(1), &write("/tmp/x")).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn an_image_keeps_a_user_of_its_own() {
    on_a_platform(async |platform| {
        platform.load(&platform.image, "999:999", "/responder").await;
        platform.launch(&[]).await;
        let id = &platform.instances().await[0].handle;
        let found = platform.behind().inspect_container(id, None::<InspectContainerOptions>).await.unwrap();
        assert_eq!(found.config.unwrap().user.as_deref(), Some("999:999"));
    })
    .await;
}

#[tokio::test]
async fn an_image_that_is_not_there_is_said_to_be_missing() {
    on_a_platform(async |platform| {
        let mut spec = platform.spec(&[]);
        spec.program = Program::Image { reference: "msctl-test/nothing:1".to_owned() };
        let error = platform.docker.launch(&spec).await.unwrap_err();
        assert!(matches!(error, RuntimeError::ImageMissing { .. }), "{error}");
        assert!(platform.instances().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_image_that_was_removed_after_it_was_known_is_missing_too() {
    on_a_platform(async |platform| {
        platform.launch(&[]).await;
        platform.docker.stop(&replica(1), GRACE).await.unwrap();
        platform.docker.remove(&replica(1)).await.unwrap();
        let options = bollard::query_parameters::RemoveImageOptionsBuilder::default().build();
        platform.behind().remove_image(&platform.image, Some(options), None).await.unwrap();
        let error = platform.docker.launch(&platform.spec(&[])).await.unwrap_err();
        assert!(matches!(error, RuntimeError::ImageMissing { .. }), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_program_that_is_not_in_its_image_cannot_run_and_leaves_nothing() {
    on_a_platform(async |platform| {
        platform.load(&platform.image, "", "/nope").await;
        let error = platform.docker.launch(&platform.spec(&[])).await.unwrap_err();
        assert!(matches!(error, RuntimeError::CannotRun { .. }), "{error:?}");
        assert!(error.to_string().contains("\"/nope\""), "{error}");
        assert!(platform.instances().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn local_commands_are_for_another_runtime() {
    on_a_platform(async |platform| {
        let mut spec = platform.spec(&[]);
        spec.program = Program::Command { argv: vec!["true".to_owned()], folder: "/".into() };
        let error = platform.docker.launch(&spec).await.unwrap_err();
        assert!(matches!(error, RuntimeError::Unsupported { .. }), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn an_instance_that_ends_by_itself_is_seen_with_its_code() {
    on_a_platform(async |platform| {
        platform.launch(&[("EXIT_CODE", "7")]).await;
        let expected = InstanceState::Exited { code: Some(7), out_of_memory: false };
        assert_eq!(platform.exit().await, expected);
        assert_eq!(platform.instances().await[0].address, None);
    })
    .await;
}

#[tokio::test]
async fn an_instance_that_takes_too_much_memory_is_seen_as_such() {
    on_a_platform(async |platform| {
        platform.launch(&[("ALLOCATE_MIB", "200")]).await;
        let expected = InstanceState::Exited { code: Some(137), out_of_memory: true };
        assert_eq!(platform.exit().await, expected);
    })
    .await;
}

#[tokio::test]
async fn an_instance_that_handles_the_signal_stops_before_its_grace_is_over() {
    on_a_platform(async |platform| {
        platform.launch(&[]).await;
        platform.get("/").await;
        assert_eq!(platform.docker.stop(&replica(1), GRACE).await.unwrap(), StopOutcome::Stopped);
        let expected = InstanceState::Exited { code: Some(0), out_of_memory: false };
        assert_eq!(platform.exit().await, expected);
        assert_eq!(platform.docker.stop(&replica(1), GRACE).await.unwrap(), StopOutcome::Stopped);
    })
    .await;
}

#[tokio::test]
async fn an_instance_that_ignores_the_signal_is_killed_and_that_is_reported() {
    on_a_platform(async |platform| {
        platform.launch(&[("IGNORE_TERM", "1")]).await;
        platform.get("/").await;
        let stopped = platform.docker.stop(&replica(1), Duration::from_secs(1)).await.unwrap();
        assert_eq!(stopped, StopOutcome::Killed);
    })
    .await;
}

#[tokio::test]
async fn a_paused_instance_is_seen_and_can_be_stopped() {
    on_a_platform(async |platform| {
        platform.launch(&[]).await;
        platform.behind().pause_container(&platform.instances().await[0].handle).await.unwrap();
        assert_eq!(platform.instances().await[0].state, InstanceState::Paused);
        platform.docker.stop(&replica(1), Duration::from_secs(1)).await.unwrap();
        platform.docker.remove(&replica(1)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_running_instance_is_neither_removed_nor_launched_again() {
    on_a_platform(async |platform| {
        platform.launch(&[]).await;
        let error = platform.docker.remove(&replica(1)).await.unwrap_err();
        assert!(error.to_string().contains("stop it first"), "{error}");
        let error = platform.docker.launch(&platform.spec(&[])).await.unwrap_err();
        assert!(error.to_string().contains("running already"), "{error}");
        assert!(platform.instances().await[0].state.is_running());
    })
    .await;
}

#[tokio::test]
async fn what_a_failed_attempt_left_is_replaced() {
    on_a_platform(async |platform| {
        platform.launch(&[("EXIT_CODE", "1")]).await;
        platform.exit().await;
        platform.launch(&[]).await;
        assert_eq!(platform.get("/env/PORT").await, "8080");
        assert_eq!(platform.instances().await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_is_gone_can_be_stopped_and_removed() {
    on_a_platform(async |platform| {
        assert_eq!(platform.docker.stop(&replica(9), GRACE).await.unwrap(), StopOutcome::Stopped);
        platform.docker.remove(&replica(9)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_container_that_somebody_renamed_is_still_ours() {
    on_a_platform(async |platform| {
        platform.launch(&[]).await;
        let renamed = format!("{}-elsewhere", platform.id);
        let options = RenameContainerOptionsBuilder::default().name(&renamed).build();
        platform.behind().rename_container(&platform.instances().await[0].handle, options).await.unwrap();
        assert!(platform.instances().await[0].state.is_running());
        platform.docker.stop(&replica(1), GRACE).await.unwrap();
        platform.docker.remove(&replica(1)).await.unwrap();
        assert!(platform.instances().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_strangers_container_of_our_name_is_left_alone() {
    on_a_platform(async |platform| {
        let name = format!("{}-order-v1-1", platform.id);
        let body = bollard::models::ContainerCreateBody {
            image: Some(platform.image.clone()),
            ..Default::default()
        };
        let behind = platform.behind();
        let options = bollard::query_parameters::CreateContainerOptionsBuilder::default().name(&name).build();
        let stranger = behind.create_container(Some(options), body).await.unwrap().id;
        // The image's labels are inherited, so only what msctl gives to instances tells them apart.
        let error = platform.docker.launch(&platform.spec(&[])).await;
        let still_there = behind.inspect_container(&stranger, None::<InspectContainerOptions>).await.is_ok();
        behind
            .remove_container(&stranger, None::<bollard::query_parameters::RemoveContainerOptions>)
            .await
            .unwrap();
        assert!(still_there);
        assert!(error.unwrap_err().to_string().contains("msctl did not make"));
    })
    .await;
}

#[tokio::test]
async fn a_start_and_an_end_call_for_another_look() {
    on_a_platform(async |platform| {
        let mut changes = platform.docker.changes().await.unwrap();
        platform.launch(&[("EXIT_CODE", "0"), ("EXIT_AFTER_MS", "500")]).await;
        let of_order = Change { service: Some("order".parse().unwrap()) };
        let mut told = Vec::new();
        let look_when_called = async {
            while let Some(change) = changes.next().await {
                told.push(change);
                if matches!(platform.instances().await[0].state, InstanceState::Exited { .. }) {
                    return;
                }
            }
            panic!("the stream ended");
        };
        tokio::time::timeout(Duration::from_secs(20), look_when_called).await.unwrap();
        assert!(told.contains(&of_order), "{told:?}");
    })
    .await;
}
