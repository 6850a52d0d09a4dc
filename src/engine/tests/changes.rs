//! Changes to what runs, which nobody who sends requests should notice.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fixtures::{name_of, names, of_version, platform, service, with_replicas};
use super::stage::Stage;
use crate::model::desired::Pin;
use crate::model::instance::{Generation, Program};
use crate::model::platform::ServiceSpec;
use crate::model::quantity::ByteSize;

#[tokio::test]
async fn a_new_version_takes_over_before_the_old_one_leaves() {
    let stage = Stage::new();
    stage.deploy([with_replicas(service("order", &[]), 2)]).await;
    stage.routes.count_anew();
    stage.deploy([of_version(with_replicas(service("order", &[]), 2), 2)]).await;
    stage.assert_serving("order.v2.1 order.v2.2").await;
    assert_eq!(stage.fewest("order"), 2);
    stage.journal.assert_order(&[
        "=admit order.v2.1",
        "+withdraw order.v1.1",
        "=drain order.v1.1",
        "+stop+remove order.v1.1",
    ]);
}

#[tokio::test]
async fn a_restart_rolls_through_all_replicas_without_a_gap() {
    let stage = Stage::new();
    stage.deploy([with_replicas(service("order", &[]), 2), service("product", &[])]).await;
    stage.routes.count_anew();
    let outcome = stage.engine.restart(names(&["order"])).await.unwrap();
    assert!(outcome.failed.is_empty(), "{outcome:?}");
    stage.assert_serving("order.v2.1 order.v2.2 product.v1.1").await;
    assert_eq!(stage.fewest("order"), 2);
}

#[tokio::test]
async fn scaling_adds_and_removes_instances_of_the_version_that_runs() {
    let stage = Stage::new();
    stage.deploy([service("order", &[])]).await;
    for (replicas, expected) in
        [(3, "order.v1.1 order.v1.2 order.v1.3"), (1, "order.v1.1"), (0, ""), (2, "order.v2.1 order.v2.2")]
    {
        let scale = BTreeMap::from([(name_of("order"), replicas)]);
        let outcome = stage.engine.scale(scale).await.unwrap();
        assert!(outcome.failed.is_empty(), "{outcome:?}");
        stage.assert_serving(expected).await;
    }
}

#[tokio::test]
async fn a_scale_outlives_the_next_version() {
    let stage = Stage::new();
    stage.deploy([service("order", &[])]).await;
    stage.engine.scale(BTreeMap::from([(name_of("order"), 2)])).await.unwrap();
    stage.deploy([of_version(service("order", &[]), 2)]).await;
    stage.assert_serving("order.v2.1 order.v2.2").await;
}

#[tokio::test]
async fn a_change_that_comes_during_another_is_done_too() {
    let stage = Stage::new();
    let first = stage.apply([service("order", &[])]);
    let second = stage.apply([of_version(service("order", &[]), 2), service("product", &[])]);
    let (first, second) = tokio::join!(first, second);
    assert_eq!((first.ready.len(), second.ready.len()), (2, 2), "both are told how it ended");
    assert!(second.failed.is_empty());
    let product = "product.v1.1";
    assert!(stage.existing().await.ends_with(product) && stage.routes.serving().ends_with(product));
    assert_eq!(stage.existing().await, stage.routes.serving());
}

fn with_memory(mut service: ServiceSpec, mebibytes: u64) -> ServiceSpec {
    service.run.limits.memory = ByteSize::from_mebibytes(mebibytes);
    service
}

async fn first_line(stage: &Stage, services: impl IntoIterator<Item = ServiceSpec>) -> String {
    let plan = stage.engine.plan(Arc::new(platform(services)), None).await.unwrap().unwrap();
    plan.to_string()
        .lines()
        .next()
        .unwrap_or_default()
        .split("create+start")
        .last()
        .unwrap()
        .trim()
        .to_owned()
}

#[tokio::test]
async fn a_plan_names_what_was_edited_since_what_runs_was_made() {
    let stage = Stage::new();
    stage.deploy([with_memory(service("order", &[]), 64)]).await;
    let edited = || [with_memory(service("order", &[]), 128)];
    assert_eq!(first_line(&stage, edited()).await, "replaces v1: run.memory 64MiB → 128MiB");
    assert_eq!(
        first_line(&stage, edited()).await,
        "replaces v1: run.memory 64MiB → 128MiB",
        "nothing was done"
    );
    stage.deploy(edited()).await;
    assert_eq!(first_line(&stage, edited()).await, "");
    let another = of_version(with_memory(service("order", &[]), 128), 2);
    assert_eq!(first_line(&stage, [another]).await, "replaces v2: build", "what was followed is forgotten");
}

#[tokio::test]
async fn what_was_edited_is_named_until_it_is_what_runs() {
    let stage = Stage::new();
    stage.deploy([with_memory(service("order", &[]), 64)]).await;
    let broken = of_version(with_memory(service("order", &[]), 128), 9);
    assert!(stage.apply([broken]).await.failed.contains_key("order"));
    let mended = of_version(with_memory(service("order", &[]), 256), 2);
    assert_eq!(first_line(&stage, [mended.clone()]).await, "replaces v1: build, run.memory 64MiB → 256MiB");
    stage.deploy([mended]).await;
    let began = stage.journal.causes();
    assert_eq!(began.last().map(String::as_str), Some("build, run.memory"));
}

#[tokio::test]
async fn a_service_that_cannot_go_back_goes_on_and_is_deployed_again_once_its_sources_are_others() {
    let stage = Stage::new();
    stage.deploy([service("order", &[])]).await;
    let program = Program::Image { reference: "order:gone".to_owned() };
    let to = Generation::new(1).unwrap();
    let outcome = stage.engine.roll_back(name_of("order"), Pin { program, digest: None, to, over: None });
    let failure = &outcome.await.unwrap().failed["order"];
    assert_eq!(failure.message, "what order v1 ran is not kept any more");
    stage.assert_serving("order.v1.1").await;
    let edited = platform([of_version(service("order", &[]), 2)]);
    stage.engine.edited(Arc::new(edited)).await.unwrap();
    stage.done("stop+remove order.v1.1").await;
    stage.assert_serving("order.v2.1").await;
}
