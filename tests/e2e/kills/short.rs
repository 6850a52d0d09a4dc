//! The short form: killed a dozen times on the way to one platform; and what a killed one leaves.

use std::collections::BTreeSet;
use std::time::Duration;

use super::strike::{Victim, all_is_well, kill_host, services, strike};
use crate::e2e::client::Client;
use crate::e2e::stage::{Stage, on_docker};
use crate::e2e::witness::{self, Bystanders};

/// How often msctl is killed, each time a little later: half of them hit a replacement.
const KILLS: u64 = 12;
const LATEST_KILL: Duration = Duration::from_millis(1500);

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
            let moment = LATEST_KILL * step / u32::try_from(KILLS - 1).unwrap();
            strike(stage, &stage.up_arguments(), moment, Victim::Both).await;
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
