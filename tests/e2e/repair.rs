//! Somebody meddles with the engine behind msctl's back: it is noticed, and put right.

use bollard::models::NetworkDisconnectRequest;
use bollard::query_parameters::{
    InspectNetworkOptions, KillContainerOptions, RemoveContainerOptionsBuilder, RenameContainerOptionsBuilder,
};

use super::services::Service;
use super::stage::{DEADLINE, Stage, on_docker};
use super::witness;
use crate::harness::wait::eventually;

async fn container_of(stage: &Stage, service: &str) -> String {
    let names = witness::container_names(stage).await;
    names.into_iter().find(|name| name.contains(&format!("-{service}-v"))).expect("it runs")
}

fn pair() -> [Service; 2] {
    [Service::new("order"), Service::new("cart")]
}

#[tokio::test]
async fn a_container_that_somebody_removed_is_made_anew() {
    on_docker(&pair(), async |stage| {
        stage.up().await;
        let before = stage.service("order").await["instances"][0]["handle"].clone();
        let force = RemoveContainerOptionsBuilder::default().force(true).build();
        let container = container_of(stage, "order").await;
        witness::engine_of(stage).remove_container(&container, Some(force)).await.unwrap();
        stage
            .until("order", "another container serves", |order| {
                order["state"] == "ready" && order["instances"][0]["handle"] != before
            })
            .await;
        assert_eq!(stage.get("/order/env/SERVICE_NAME").await, "order");
    })
    .await;
}

#[tokio::test]
async fn a_container_that_was_killed_is_started_again() {
    on_docker(&pair(), async |stage| {
        stage.up().await;
        let container = container_of(stage, "order").await;
        witness::engine_of(stage).kill_container(&container, None::<KillContainerOptions>).await.unwrap();
        let order = stage
            .until("order", "it is noticed and mended", |order| {
                order["failures"] == 1 && order["state"] == "ready"
            })
            .await;
        assert_eq!(order["instances"].as_array().unwrap().len(), 1);
        assert_eq!(stage.get("/order/env/SERVICE_NAME").await, "order");
    })
    .await;
}

#[tokio::test]
async fn a_container_that_somebody_renamed_goes_on_serving_and_goes_with_the_rest() {
    on_docker(&pair(), async |stage| {
        stage.up().await;
        let container = container_of(stage, "order").await;
        let name = format!("{container}-renamed");
        let options = RenameContainerOptionsBuilder::default().name(&name).build();
        witness::engine_of(stage).rename_container(&container, options).await.unwrap();
        stage.up().await;
        assert_eq!(stage.get("/order/env/SERVICE_NAME").await, "order");
        assert_eq!(witness::container_names(stage).await.len(), 2);
        stage.down().await;
        assert_eq!(witness::everything(stage).await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn a_network_that_somebody_removed_is_made_anew_and_joined() {
    on_docker(&[Service::new("order").calls("cart"), Service::new("cart")], async |stage| {
        stage.up().await;
        remove_network(stage).await;
        stage.try_up().await;
        let cart = stage.variable("order", "CART_URL").await;
        eventually(DEADLINE, "services reach each other again", async || {
            let answer = stage.gateway().await.get(&format!("/order/call?url={cart}/env/SERVICE_NAME")).await;
            answer.ok().filter(|answer| answer.status == 200 && answer.body == "200\ncart")
        })
        .await;
        assert_eq!(stage.service("order").await["state"], "ready");
    })
    .await;
}

/// As a user would have to: every container is taken off it first.
async fn remove_network(stage: &Stage) {
    let (engine, network) = (witness::engine_of(stage), stage.id().await);
    let inspected = engine.inspect_network(&network, None::<InspectNetworkOptions>).await.unwrap();
    for container in inspected.containers.unwrap_or_default().into_keys() {
        let request = NetworkDisconnectRequest { container, force: Some(true) };
        engine.disconnect_network(&network, request).await.unwrap();
    }
    engine.remove_network(&network).await.unwrap();
}
