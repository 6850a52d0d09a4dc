//! The platform process stands still for a while, as when a machine sleeps.

use std::time::Duration;

use bollard::query_parameters::KillContainerOptions;
use rustix::process::{Pid, Signal, kill_process};

use crate::e2e::services::Service;
use crate::e2e::stage::{Stage, on_docker};
use crate::e2e::witness;

/// Longer than the time between two looks.
const STANDSTILL: Duration = Duration::from_secs(12);

#[tokio::test]
async fn a_process_that_stood_still_mends_what_happened_meanwhile_once_and_touches_nothing_else() {
    on_docker(&[Service::new("order"), Service::new("cart")], async |stage| {
        let gateway = stage.up().await;
        let cart = stage.service("cart").await;
        let plans = plans(stage).await;
        let process = Pid::from_raw(stage.host_process().unwrap()).unwrap();
        let names = witness::container_names(stage).await;
        let order = names.iter().find(|name| name.contains("-order-v")).unwrap();
        kill_process(process, Signal::STOP).unwrap();
        witness::engine_of(stage).kill_container(order, None::<KillContainerOptions>).await.unwrap();
        // Whoever asks meanwhile waits for the answer; nobody is refused.
        let asked = tokio::spawn(async move { gateway.get("/cart/env/SERVICE_NAME").await });
        // The standstill is the fault that is injected, not something to wait for.
        let _ = tokio::time::timeout(STANDSTILL, std::future::pending::<()>()).await;
        kill_process(process, Signal::CONT).unwrap();
        let answer = asked.await.unwrap().unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "cart"));
        let order = stage
            .until("order", "it is noticed and mended", |order| {
                order["failures"] == 1 && order["state"] == "ready"
            })
            .await;
        assert_eq!(order["instances"].as_array().map(Vec::len), Some(1), "{order}");
        assert_eq!(stage.get("/order/env/SERVICE_NAME").await, "order");
        assert_eq!(stage.service("cart").await, cart);
        assert_eq!(self::plans(stage).await, plans + 1);
        assert_eq!(stage.host_process(), Some(process.as_raw_nonzero().get()));
    })
    .await;
}

/// How many plans there have been that had something to do.
async fn plans(stage: &Stage) -> usize {
    let told = stage.msctl(&["events"]).await.stdout;
    told.lines().filter(|line| line.contains(" steps planned") || line.contains(" step planned")).count()
}
