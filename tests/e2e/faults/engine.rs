//! The engine ends, is killed, or tells of nothing.

use std::fs;

use bollard::query_parameters::KillContainerOptions;
use futures_util::future::join_all;
use rustix::process::Signal;

use crate::e2e::client::{Answer, Client};
use crate::e2e::services::{Service, write_platform};
use crate::e2e::stage::{DEADLINE, Runtime, Stage};
use crate::e2e::witness;
use crate::harness::dockerd::Dockerd;
use crate::harness::engine::{Engine, engine};
use crate::harness::proxy::Proxy;
use crate::harness::wait::eventually;

/// A stage on this engine, with these services.
fn stage_on(engine: Engine, services: &[Service]) -> Stage {
    let stage = Stage::new(Runtime::Docker, Some(engine));
    write_platform(stage.folder(), "e2e", services);
    stage
}

/// What so many requests at once are answered.
async fn ask_at_once(gateway: Client, number: usize) -> Vec<Answer> {
    let asked = join_all((0..number).map(|_| async move { gateway.get("/order/").await })).await;
    asked.into_iter().collect::<Result<_, _>>().expect("the gateway answers, whatever became of the engine")
}

/// Whether it is said when to come back.
fn is_put_off(answer: &Answer) -> bool {
    answer.status == 503 && answer.head.to_lowercase().contains("\r\nretry-after: ")
}

/// What the platform process wrote.
async fn log_of(stage: &Stage) -> String {
    fs::read_to_string(stage.state().join(stage.id().await).join("platform.log")).unwrap()
}

#[tokio::test]
async fn services_come_back_by_themselves_after_the_engine_was_restarted() {
    let Some(mut dockerd) = Dockerd::begin() else { return };
    let services = [Service::new("order").run("replicas", "2"), Service::new("cart").calls("order")];
    let stage = stage_on(dockerd.engine(), &services);
    let dockerd = tokio::sync::Mutex::new(&mut dockerd);
    stage
        .play(async |stage| {
            let gateway = stage.up().await;
            let process = stage.host_process().unwrap();
            dockerd.lock().await.end(Signal::TERM);
            // The first ones find out that nobody is there any more; then the service is left alone.
            eventually(DEADLINE, "requests are told to come back later", async || {
                let answers = ask_at_once(gateway, 12).await;
                assert!(answers.iter().all(|answer| matches!(answer.status, 502 | 503)), "{answers:?}");
                answers.iter().any(is_put_off).then_some(())
            })
            .await;
            dockerd.lock().await.begin_again();
            eventually(DEADLINE, "the service answers again", async || {
                (gateway.get("/order/").await.unwrap().status == 200).then_some(())
            })
            .await;
            for (name, replicas) in [("order", 2), ("cart", 1)] {
                let service = stage.until(name, "it is ready", |service| service["state"] == "ready").await;
                assert_eq!(service["instances"].as_array().map(Vec::len), Some(replicas), "{service}");
            }
            assert_eq!(stage.host_process(), Some(process));
            assert_eq!(witness::containers(stage).await.len(), 3);
            let log = log_of(stage).await;
            assert!(!log.contains("panicked"), "{log}");
        })
        .await;
}

#[tokio::test]
async fn an_engine_that_is_killed_during_up_is_said_to_have_gone_and_the_next_up_converges() {
    let Some(mut dockerd) = Dockerd::begin() else { return };
    let order = |wait| Service::new("order").with("READY_AFTER_MS", wait).start_period("300s");
    let stage = stage_on(dockerd.engine(), &[order("600000"), Service::new("cart")]);
    let dockerd = tokio::sync::Mutex::new(&mut dockerd);
    stage
        .play(async |stage| {
            let killing = async {
                eventually(DEADLINE, "the first containers", async || {
                    (witness::containers(stage).await.len() == 2).then_some(())
                })
                .await;
                dockerd.lock().await.end(Signal::KILL);
            };
            let (up, ()) = tokio::join!(stage.try_up(), killing);
            assert_eq!(up.code, 3, "{}", up.stderr);
            assert!(up.stderr.contains("the engine went away"), "{}", up.stderr);
            dockerd.lock().await.begin_again();
            order("0").write(stage.folder());
            stage.up().await;
            let names = witness::container_names(stage).await;
            assert_eq!(names.len(), 2, "{names:?}");
            assert_eq!(stage.get("/order/env/SERVICE_NAME").await, "order");
        })
        .await;
}

#[tokio::test]
async fn an_exit_is_noticed_though_the_engine_tells_of_no_event() {
    let Some(engine) = engine() else { return };
    let proxy = Proxy::before(&engine);
    proxy.lose_events();
    let stage = stage_on(Engine::at(&proxy.host()), &[Service::new("order"), Service::new("cart")]);
    stage
        .play(async |stage| {
            stage.up().await;
            let names = witness::container_names(stage).await;
            let order = names.iter().find(|name| name.contains("-order-v")).unwrap();
            witness::engine_of(stage).kill_container(order, None::<KillContainerOptions>).await.unwrap();
            let order = stage
                .until("order", "it is noticed and mended", |order| {
                    order["failures"] == 1 && order["state"] == "ready"
                })
                .await;
            assert_eq!(order["instances"].as_array().map(Vec::len), Some(1), "{order}");
            assert_eq!(stage.get("/order/env/SERVICE_NAME").await, "order");
            let cart = stage.service("cart").await;
            assert_eq!((&cart["failures"], &cart["generation"]), (&0.into(), &1.into()), "{cart}");
        })
        .await;
}
