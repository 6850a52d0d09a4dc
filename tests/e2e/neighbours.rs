//! Platforms side by side on one engine.

use super::services::{Service, write_platform};
use super::stage::{Runtime, Stage, on_docker};
use super::witness;
use crate::harness::engine::engine;

/// Runs another platform beside a first one, and sees that neither's end is the other's.
async fn beside(first: &Stage, name: &str) {
    let Some(engine) = engine() else { return };
    let gateway = first.up().await;
    let second = Stage::new(Runtime::Docker, Some(engine));
    write_platform(second.folder(), name, &[Service::new("order").with("MOOD", "second")]);
    second
        .play(async |second| {
            let other = second.up().await;
            assert_ne!((gateway.0, first.id().await), (other.0, second.id().await));
            assert_eq!(gateway.get("/order/env/MOOD").await.unwrap().body, "first");
            assert_eq!(other.get("/order/env/MOOD").await.unwrap().body, "second");
            first.down().await;
            assert_eq!(witness::everything(first).await, Vec::<String>::new());
            assert_eq!(other.get("/order/env/MOOD").await.unwrap().body, "second");
            assert_eq!(witness::container_names(second).await.len(), 1);
        })
        .await;
}

#[tokio::test]
async fn two_platforms_do_not_touch_each_other() {
    on_docker(&[Service::new("order").with("MOOD", "first")], async |stage| beside(stage, "other").await)
        .await;
}

#[tokio::test]
async fn two_worktrees_of_one_platform_do_not_touch_each_other() {
    on_docker(&[Service::new("order").with("MOOD", "first")], async |stage| beside(stage, "e2e").await).await;
}
