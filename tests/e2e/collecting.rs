//! What builds leave on the engine: kept within the budget while the platform runs, and gone after it.

use std::fs;
use std::path::Path;

use bollard::query_parameters::{ImportImageOptionsBuilder, RemoveImageOptions};
use futures_util::TryStreamExt;
use serde_json::Value;

use super::services::Service;
use super::stage::{DEADLINE, Stage, on_docker};
use super::witness;
use crate::harness::image::TestImage;
use crate::harness::wait::eventually;

/// An image that is nobody's, which the service is built upon.
struct Foreign {
    engine: bollard::Docker,
    name: String,
}

impl Foreign {
    async fn beside(stage: &Stage) -> Self {
        let foreign =
            Self { engine: witness::engine_of(stage), name: format!("foreign-{}:1", stage.id().await) };
        let image = TestImage { tag: &foreign.name, labels: Vec::new(), user: "", entrypoint: "/responder" };
        let options = ImportImageOptionsBuilder::default().build();
        let loaded = foreign.engine.import_image(options, bollard::body_full(image.archive().into()), None);
        loaded.try_collect::<Vec<_>>().await.expect("the image is good");
        foreign
    }

    async fn leave(self) {
        let removed = self.engine.remove_image(&self.name, None::<RemoveImageOptions>, None).await;
        removed.expect("it is there, and nothing of the platform's is left upon it");
    }
}

/// Another version of the sources.
fn edit(folder: &Path, version: usize) {
    fs::write(folder.join("services/order/version"), version.to_string()).expect("the folder is ours");
}

fn build_upon(folder: &Path, image: &str) {
    let service = folder.join("services/order");
    let text = fs::read_to_string(service.join("service.toml")).expect("it was just written");
    let (before, rest) = text.split_once("strategy").expect("it is packed");
    let (_, after) = rest.split_once("[process]").expect("it may run without an engine");
    let text = format!("{before}strategy = \"dockerfile\"\n[process]{after}");
    fs::write(service.join("service.toml"), text).expect("the folder is ours");
    let dockerfile =
        format!("FROM {image}\nWORKDIR /service\nCOPY version ./\nENTRYPOINT [\"/responder\"]\n");
    fs::write(service.join("Dockerfile"), dockerfile).expect("the folder is ours");
    fs::write(service.join(".dockerignore"), "responder\n").expect("the folder is ours");
}

fn keep(folder: &Path, setting: &str) {
    let path = folder.join("msctl.toml");
    let text = fs::read_to_string(&path).expect("it was just written");
    let text = text.split("[images]").next().unwrap_or_default();
    fs::write(path, format!("{text}[images]\n{setting}\n")).expect("the folder is ours");
}

async fn du(stage: &Stage) -> Value {
    let done = stage.msctl(&["du", "--format", "json"]).await;
    assert_eq!(done.code, 0, "{}", done.stderr);
    serde_json::from_str(&done.stdout).expect("du speaks JSON")
}

/// What is kept: `base`, `image [3]*` where generation 3 runs.
fn shown(usage: &Value) -> Vec<String> {
    let kept = usage["kept"].as_array().expect("a list").iter();
    kept.map(|one| {
        let used = if one["in_use"] == true { "*" } else { "" };
        format!("{} {}{used}", one["what"].as_str().expect("a text"), one["generations"])
    })
    .collect()
}

async fn until_kept(stage: &Stage, expected: &[&str]) {
    eventually(DEADLINE, &format!("kept are {expected:?}"), async || {
        let mut shown = shown(&du(stage).await);
        shown.sort();
        (shown == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn of_many_generations_those_within_the_budget_stay_and_down_leaves_none() {
    on_docker(&[Service::new("order")], async |stage| {
        let foreign = Foreign::beside(stage).await;
        build_upon(stage.folder(), &foreign.name);
        keep(stage.folder(), "keep = 2");
        for version in 1..=4 {
            edit(stage.folder(), version);
            stage.up().await;
        }
        until_kept(stage, &["base []", "image [3]", "image [4]*"]).await;
        assert_eq!(stage.get("/order/env/SERVICE_GENERATION").await, "4");
        let back = stage.msctl(&["rollback", "order"]).await;
        assert_eq!(back.code, 0, "what one goes back to is kept: {}", back.stderr);
        until_kept(stage, &["base []", "image [3,5]*", "image [4]"]).await;
        edit(stage.folder(), 5);
        stage.up().await;
        until_kept(stage, &["base []", "image [3,5]", "image [6]*"]).await;
        let usage = du(stage).await;
        assert!(usage["bytes"].as_u64() > usage["bytes_in_use"].as_u64(), "{usage}");
        keep(stage.folder(), "keep = 1");
        // Nobody has to ask for it: the manifest is followed.
        until_kept(stage, &["base []", "image [6]*"]).await;
        let collected = stage.msctl(&["du", "--collect"]).await;
        assert_eq!(collected.code, 0, "{}", collected.stderr);
        assert!(collected.stderr.starts_with("nothing is beyond the budget"), "{collected:?}");
        stage.down().await;
        assert_eq!(witness::everything(stage).await, Vec::<String>::new());
        assert_eq!(shown(&du(stage).await), Vec::<String>::new());
        foreign.leave().await;
    })
    .await;
}
