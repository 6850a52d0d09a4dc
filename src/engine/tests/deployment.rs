//! First deployments, and what is left of them.

use super::fixtures::{name_of, names, platform, service, with_replicas};
use super::stage::Stage;
use crate::model::event::EventKind;
use crate::model::status::ServiceState;

#[tokio::test]
async fn what_is_applied_runs_is_ready_and_takes_requests() {
    let stage = Stage::new();
    let outcome = stage.apply([service("order", &["product"]), service("product", &[])]).await;
    assert_eq!(outcome.ready, ["order", "product"]);
    assert!(outcome.failed.is_empty());
    assert_eq!(stage.fake.calls(), ["launch product.v1.1", "launch order.v1.1"]);
    stage.assert_serving("order.v1.1 product.v1.1").await;
    let states: Vec<_> = stage.engine.status().await.unwrap().into_iter().map(|s| s.state).collect();
    assert_eq!(states, [ServiceState::Ready, ServiceState::Ready]);
}

#[tokio::test]
async fn a_caller_is_started_once_all_that_it_calls_takes_requests() {
    let stage = Stage::new();
    stage.deploy([service("order", &["product"]), with_replicas(service("product", &[]), 2)]).await;
    for replica in ["product.v1.1", "product.v1.2"] {
        stage.journal.assert_order(&[&format!("=admit {replica}"), "+create+start order.v1.1"]);
    }
}

#[tokio::test]
async fn an_instance_takes_requests_only_after_it_was_ready() {
    let stage = Stage::new();
    stage.deploy([service("order", &[])]).await;
    stage.journal.assert_order(&["=create+start order.v1.1", "=await-ready order.v1.1", "+admit order.v1.1"]);
}

#[tokio::test]
async fn applying_the_same_again_does_nothing_but_look() {
    let stage = Stage::new();
    let services = [service("order", &["product"]), service("product", &[])];
    stage.deploy(services.clone()).await;
    stage.fake.take_calls();
    stage.journal.forget();
    stage.deploy(services).await;
    assert_eq!(stage.fake.take_calls(), [] as [&str; 0]);
    assert_eq!(stage.journal.events()[0], EventKind::Planned { steps: 0, services: vec![] });
}

#[tokio::test]
async fn only_what_was_asked_for_and_its_callees_are_started() {
    let stage = Stage::new();
    let all = [service("order", &["product"]), service("product", &[]), service("gone", &[])];
    let only = Some(names(&["order"]));
    let outcome = stage.engine.apply(platform(all).into(), only).await.unwrap();
    assert_eq!(outcome.ready, ["order", "product"]);
    stage.assert_serving("order.v1.1 product.v1.1").await;
}

#[tokio::test]
async fn a_new_engine_adopts_what_runs_without_touching_it() {
    let stage = Stage::new();
    let services = [service("order", &["product"]), service("product", &[])];
    stage.deploy(services.clone()).await;
    stage.fake.take_calls();
    let later = Stage::over(&stage.fake, std::sync::Arc::new(stage.fake.clone()));
    drop(stage.engine);
    later.deploy(services).await;
    assert_eq!(later.fake.take_calls(), [] as [&str; 0]);
    later.assert_serving("order.v1.1 product.v1.1").await;
}

#[tokio::test]
async fn a_service_that_left_the_manifest_is_withdrawn_and_removed() {
    let stage = Stage::new();
    stage.deploy([service("order", &[]), service("gone", &[])]).await;
    stage.deploy([service("order", &[])]).await;
    stage.assert_serving("order.v1.1").await;
    stage.journal.assert_order(&["=withdraw gone.v1.1", "=drain gone.v1.1", "=stop+remove gone.v1.1"]);
}

#[tokio::test]
async fn a_stop_leaves_nothing_behind() {
    let stage = Stage::new();
    stage.deploy([service("order", &["product"]), with_replicas(service("product", &[]), 2)]).await;
    let report = stage.engine.stop().await.unwrap();
    assert!(report.failed.is_empty() && report.unseen.is_none(), "{report:?}");
    stage.assert_serving("").await;
    assert!(stage.engine.status().await.is_err(), "the loop has ended");
}

#[tokio::test]
async fn a_stop_in_the_middle_of_a_deployment_leaves_nothing_behind() {
    let stage = Stage::new();
    stage.fake.set_health(&name_of("product"), 503);
    let engine = stage.engine.clone();
    let all = platform([service("order", &["product"]), service("product", &[])]);
    let applying = tokio::spawn(async move { engine.apply(all.into(), None).await });
    stage.done("create+start product.v1.1").await;
    stage.engine.stop().await.unwrap();
    stage.assert_serving("").await;
    assert!(applying.await.unwrap().is_err(), "whoever waits is told that the platform stops");
}

#[tokio::test]
async fn what_a_plan_says_is_what_applying_then_does() {
    let stage = Stage::new();
    let all = || platform([service("order", &["product"]), service("product", &[])]);
    let plan = stage.engine.plan(all().into(), None).await.unwrap().unwrap();
    assert_eq!(stage.fake.calls(), [] as [&str; 0], "planning touches nothing");
    stage.engine.apply(all().into(), None).await.unwrap();
    let begun: Vec<_> =
        stage.journal.steps().into_iter().filter_map(|s| s.strip_prefix('+').map(str::to_owned)).collect();
    let planned: Vec<_> = plan.steps.iter().map(|s| format!("{} {}", s.action.kind(), s.subject())).collect();
    assert_eq!(begun, planned);
}
