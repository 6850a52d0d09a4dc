//! A new version takes over without anybody noticing, or does not take over at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;
use tokio::task::JoinHandle;

use super::client::Client;
use super::services::Service;
use super::stage::{DEADLINE, Stage, as_processes, on_docker};
use super::witness;
use crate::harness::wait::eventually;

/// A client that asks again and again, and takes note of everything that is not a good answer.
pub struct Visitor {
    enough: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    task: JoinHandle<Vec<String>>,
}

impl Visitor {
    pub fn of(gateway: Client, path: &'static str) -> Self {
        let (enough, answers) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (stop, count) = (Arc::clone(&enough), Arc::clone(&answers));
        let task = tokio::spawn(async move {
            let mut disappointments = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                match gateway.get(path).await {
                    Ok(answer) if answer.status == 200 => {}
                    other => disappointments.push(format!("{other:?}")),
                }
                count.fetch_add(1, Ordering::Relaxed);
            }
            disappointments
        });
        Self { enough, answers, task }
    }

    pub async fn has_been_served(&self, more: usize) {
        let before = self.answers.load(Ordering::Relaxed);
        eventually(DEADLINE, "the visitor is served", async || {
            (self.answers.load(Ordering::Relaxed) >= before + more).then_some(())
        })
        .await;
    }

    /// What went wrong, after some more visits.
    pub async fn leave(self) -> Vec<String> {
        self.has_been_served(20).await;
        self.enough.store(true, Ordering::Relaxed);
        self.task.await.expect("the visitor does not panic")
    }
}

#[tokio::test]
async fn a_new_version_takes_over_without_a_failed_request() {
    on_docker(&[Service::new("order")], async |stage| {
        take_over(stage).await;
        let id = stage.id().await;
        assert_eq!(witness::container_names(stage).await, [format!("{id}-order-v2-1")]);
        nothing_is_forgotten_by_down(stage).await;
    })
    .await;
}

#[tokio::test]
async fn a_new_version_of_a_local_process_takes_over_without_a_failed_request() {
    as_processes(&[Service::new("order")], async |stage| {
        take_over(stage).await;
        nothing_is_forgotten_by_down(stage).await;
    })
    .await;
}

async fn take_over(stage: &Stage) {
    let gateway = stage.up().await;
    assert_eq!(stage.get("/order/env/SERVICE_GENERATION").await, "1");
    let visitor = Visitor::of(gateway, "/order/");
    visitor.has_been_served(20).await;
    Service::new("order").with("MOOD", "new").write(stage.folder());
    stage.up().await;
    assert_eq!(visitor.leave().await, Vec::<String>::new());
    assert_eq!(stage.get("/order/env/SERVICE_GENERATION").await, "2");
    assert_eq!(stage.get("/order/env/MOOD").await, "new");
    let order = stage.service("order").await;
    assert_eq!((&order["generation"], order["instances"].as_array().unwrap().len()), (&2.into(), 1));
    assert_eq!(history(stage).await, ["v2 live", "v1 superseded"]);
}

async fn nothing_is_forgotten_by_down(stage: &Stage) {
    stage.down().await;
    assert_eq!(history(stage).await, ["v2 stopped", "v1 superseded"]);
}

/// What became of each generation, newest first.
async fn history(stage: &Stage) -> Vec<String> {
    let told = stage.msctl(&["history", "--format", "jsonl"]).await;
    assert_eq!((told.code, told.stderr.as_str()), (0, ""));
    let deployments = told.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let outcome = |one: &Value| one["outcome"]["kind"].as_str().unwrap().to_owned();
    deployments.map(|one| format!("v{} {}", one["generation"], outcome(&one))).collect()
}

#[tokio::test]
async fn a_version_that_never_gets_ready_leaves_the_old_one_serving() {
    on_docker(&[Service::new("order")], async |stage| {
        let gateway = stage.up().await;
        let visitor = Visitor::of(gateway, "/order/");
        Service::new("order").with("READY_AFTER_MS", "600000").start_period("1s").write(stage.folder());
        let done = stage.try_up().await;
        assert_eq!(done.code, 5, "{}", done.stderr);
        assert!(done.stderr.contains("not ready within 1s"), "{}", done.stderr);
        assert_eq!(visitor.leave().await, Vec::<String>::new());
        assert_eq!(stage.get("/order/env/SERVICE_GENERATION").await, "1");
        the_old_one_alone_is_left(stage).await;
    })
    .await;
}

#[tokio::test]
async fn a_version_that_crashes_at_its_start_leaves_the_old_one_serving() {
    on_docker(&[Service::new("order")], async |stage| {
        let gateway = stage.up().await;
        let visitor = Visitor::of(gateway, "/order/");
        Service::new("order").with("EXIT_CODE", "3").with("LOG_LINES", "2").write(stage.folder());
        let done = stage.try_up().await;
        assert_eq!(done.code, 5, "{}", done.stderr);
        assert!(
            done.stderr.contains("exited with code 3") && done.stderr.contains("line 2"),
            "{}",
            done.stderr
        );
        assert_eq!(visitor.leave().await, Vec::<String>::new());
        the_old_one_alone_is_left(stage).await;
    })
    .await;
}

#[tokio::test]
async fn a_version_that_stops_soon_after_it_got_ready_gives_way_to_the_old_one() {
    on_docker(&[Service::new("order")], gives_way).await;
}

#[tokio::test]
async fn a_local_process_that_stops_soon_after_it_got_ready_gives_way_to_the_old_one() {
    as_processes(&[Service::new("order")], gives_way).await;
}

async fn gives_way(stage: &Stage) {
    let gateway = stage.up().await;
    Service::new("order")
        .with("EXIT_CODE", "3")
        .with("EXIT_AFTER_MS", "1700")
        .with("LOG_LINES", "2")
        .write(stage.folder());
    let done = stage.try_up().await;
    assert_eq!(done.code, 5, "{}", done.stderr);
    let said = "order.v2.1 exited with code 3 within 2s of its first request";
    assert!(done.stderr.contains(said) && done.stderr.contains("line 2"), "{}", done.stderr);
    assert!(done.stderr.contains("v1 serves until"), "{}", done.stderr);
    let visitor = Visitor::of(gateway, "/order/");
    assert_eq!(stage.get("/order/env/SERVICE_GENERATION").await, "1");
    let order = stage.service("order").await;
    assert_eq!((&order["state"], &order["failures"]), (&"ready".into(), &1.into()), "{order}");
    assert_eq!(order["instances"].as_array().unwrap().len(), 1, "{order}");
    assert_eq!(history(stage).await, ["v2 failed", "v1 live"]);
    assert_eq!(visitor.leave().await, Vec::<String>::new());
}

/// The bad version is tried again with growing pauses, so it is seen to be gone between two tries.
async fn the_old_one_alone_is_left(stage: &Stage) {
    let old = format!("{}-order-v1-1", stage.id().await);
    eventually(DEADLINE, "only the old version is left", async || {
        (witness::container_names(stage).await == [old.clone()]).then_some(())
    })
    .await;
}
