//! msctl dies in the middle, or runs twice at once: the next `up` puts everything right, and nothing
//! of anybody else's is touched.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::client::Client;
use super::services::Service;
use super::stage::{DEADLINE, Stage, on_docker};
use super::witness::{self, Bystanders};
use crate::harness::wait::eventually;

/// How often msctl is killed, each time a little later: half of them hit a replacement.
const KILLS: u64 = 12;
const LATEST_KILL: Duration = Duration::from_millis(1500);

fn services(mood: &str) -> Vec<Service> {
    let service = |name| Service::new(name).with("MOOD", mood);
    vec![service("order").calls("product"), service("product").with_a_database(), service("cart")]
}

fn kill(process: i32) {
    if let Some(process) = Pid::from_raw(process) {
        // It may have ended by itself meanwhile.
        let _ = kill_process(process, Signal::KILL);
    }
}

/// Kills the process that serves the platform, and waits until it is gone.
async fn kill_host(stage: &Stage) {
    if let Some(process) = stage.host_process() {
        kill(process);
        eventually(DEADLINE, "the process is gone", async || stage.host_process().is_none().then_some(()))
            .await;
    }
}

/// Starts `up -d` and kills it and the process behind it after `moment`.
async fn up_until(stage: &Stage, moment: Duration) {
    let mut up = stage.command(&["up", "-d", "--runtime", "docker"]);
    let mut up = up.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // The moment of death is the fault that is injected, not something to wait for.
    let _ = tokio::time::timeout(moment, up.wait()).await;
    kill_host(stage).await;
    let _ = up.kill().await;
    // The first one may have been about to start the second.
    kill_host(stage).await;
}

/// Every service has exactly one container, which runs and serves.
async fn all_is_well(stage: &Stage) {
    let containers = witness::containers(stage).await;
    let label = |container: &bollard::models::ContainerSummary| {
        container.labels.as_ref().and_then(|labels| labels.get("dev.msctl.service")).cloned()
    };
    let names: Vec<String> = containers.iter().filter_map(label).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    assert_eq!(containers.len(), 3, "{:?}", witness::container_names(stage).await);
    let ps = stage.ps().await;
    for service in ps["services"].as_array().unwrap() {
        assert_eq!((&service["state"], &service["failures"]), (&"ready".into(), &0.into()), "{service}");
    }
}

#[tokio::test]
async fn whenever_msctl_is_killed_the_next_up_converges_and_down_leaves_nothing() {
    on_docker(&services("0"), async |stage| {
        let bystanders = Bystanders::beside(stage).await;
        for round in 0..KILLS {
            // The same version twice: the second time finds what the first left, the next replaces it.
            for service in services(&(round / 2).to_string()) {
                service.write(stage.folder());
            }
            let step = u32::try_from(round * 7 % KILLS).unwrap();
            up_until(stage, LATEST_KILL * step / u32::try_from(KILLS - 1).unwrap()).await;
        }
        stage.up().await;
        all_is_well(stage).await;
        assert_eq!(stage.get("/cart/env/MOOD").await, ((KILLS - 1) / 2).to_string());
        bystanders.are_unharmed().await;
        let done = stage.msctl(&["down", "--volumes", "--yes"]).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert_eq!(witness::everything(stage).await, Vec::<String>::new());
        bystanders.are_unharmed().await;
        bystanders.leave().await;
    })
    .await;
}

#[tokio::test]
async fn what_a_killed_msctl_left_running_is_adopted_as_it_is() {
    on_docker(&services("0"), async |stage| {
        stage.up().await;
        let before = ids(stage).await;
        kill_host(stage).await;
        let cart = stage.service("cart").await;
        assert_eq!(cart["state"], "unattended");
        stage.up().await;
        assert_eq!(ids(stage).await, before);
        all_is_well(stage).await;
    })
    .await;
}

async fn ids(stage: &Stage) -> BTreeSet<String> {
    witness::containers(stage).await.into_iter().filter_map(|container| container.id).collect()
}

#[tokio::test]
async fn down_alone_removes_what_a_killed_msctl_left() {
    on_docker(&services("0"), async |stage| {
        stage.up().await;
        kill_host(stage).await;
        let done = stage.msctl(&["down", "--volumes", "--yes"]).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert_eq!(witness::everything(stage).await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn two_ups_at_once_share_one_platform() {
    on_docker(&services("0"), async |stage| {
        let (one, other) = tokio::join!(stage.try_up(), stage.try_up());
        assert_eq!((one.code, other.code), (0, 0), "{}\n{}", one.stderr, other.stderr);
        all_is_well(stage).await;
    })
    .await;
}

#[tokio::test]
async fn a_lock_that_a_dead_process_left_is_no_obstacle() {
    on_docker(&services("0"), async |stage| {
        let lock = stage.state().join(stage.id().await).join("lock");
        // The number of a process that lives, and is not msctl.
        std::fs::write(&lock, std::process::id().to_string()).unwrap();
        let Client(gateway) = stage.up().await;
        assert_ne!(gateway.port(), 0);
        all_is_well(stage).await;
    })
    .await;
}
