//! Somebody meddles with the engine behind msctl's back: it is noticed, and put right.

use bollard::models::NetworkDisconnectRequest;
use bollard::query_parameters::{
    KillContainerOptions, RemoveContainerOptionsBuilder, RenameContainerOptionsBuilder,
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
async fn a_container_that_somebody_renamed_is_replaced_without_a_gap() {
    on_docker(&pair(), async |stage| {
        stage.up().await;
        let container = container_of(stage, "order").await;
        let name = format!("{container}-renamed");
        let options = RenameContainerOptionsBuilder::default().name(&name).build();
        witness::engine_of(stage).rename_container(&container, options).await.unwrap();
        eventually(DEADLINE, "another container has its place", async || {
            assert_eq!(stage.get("/order/env/SERVICE_NAME").await, "order");
            let names = witness::container_names(stage).await;
            (names.len() == 2 && !names.contains(&name)).then_some(())
        })
        .await;
        let told = stage.msctl(&["events", "--service", "order"]).await.stdout;
        assert!(told.contains("order.v1.1 renamed"), "{told}");
        assert_eq!(stage.service("order").await["failures"], 0);
        stage.down().await;
        assert_eq!(witness::everything(stage).await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn a_container_that_somebody_paused_is_replaced() {
    on_docker(&pair(), async |stage| {
        stage.up().await;
        let before = stage.service("order").await["instances"][0]["handle"].clone();
        let container = container_of(stage, "order").await;
        witness::engine_of(stage).pause_container(&container).await.unwrap();
        stage
            .until("order", "another container serves alone", |order| {
                let instances = order["instances"].as_array().unwrap();
                order["state"] == "ready" && instances.len() == 1 && instances[0]["handle"] != before
            })
            .await;
        assert_eq!(stage.get("/order/env/SERVICE_NAME").await, "order");
        let told = stage.msctl(&["events", "--service", "order"]).await.stdout;
        assert!(told.contains("order.v1.1        paused\n"), "it is replaced at once: {told}");
    })
    .await;
}

#[tokio::test]
async fn a_container_that_was_taken_off_the_network_is_replaced() {
    on_docker(&pair(), async |stage| {
        stage.up().await;
        let before = stage.service("order").await["instances"][0]["handle"].clone();
        cut_off(stage, container_of(stage, "order").await).await;
        stage
            .until("order", "another container serves", |order| {
                order["state"] == "ready" && order["instances"][0]["handle"] != before
            })
            .await;
        assert_eq!(stage.get("/order/env/SERVICE_NAME").await, "order");
        assert_eq!(witness::container_names(stage).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_network_that_somebody_removed_is_made_anew_and_joined() {
    on_docker(&[Service::new("order").calls("cart"), Service::new("cart")], async |stage| {
        let gateway = stage.up().await;
        let cart = stage.variable("order", "CART_URL").await;
        // What is cut off is replaced at once, and the next one is on the network as well.
        eventually(DEADLINE, "nobody is left on the network", async || {
            for container in witness::container_names(stage).await {
                let _ = try_to_cut_off(stage, container).await;
            }
            witness::engine_of(stage).remove_network(&stage.id().await).await.ok()
        })
        .await;
        let call = format!("/order/call?url={cart}/env/SERVICE_NAME");
        eventually(DEADLINE, "services reach each other again", async || {
            let answer = gateway.get(&call).await.ok()?;
            (answer.status == 200 && answer.body == "200\ncart").then_some(())
        })
        .await;
        assert_eq!(stage.service("order").await["state"], "ready");
    })
    .await;
}

async fn cut_off(stage: &Stage, container: String) {
    try_to_cut_off(stage, container).await.unwrap();
}

async fn try_to_cut_off(stage: &Stage, container: String) -> Result<(), bollard::errors::Error> {
    let request = NetworkDisconnectRequest { container, force: Some(true) };
    witness::engine_of(stage).disconnect_network(&stage.id().await, request).await
}
