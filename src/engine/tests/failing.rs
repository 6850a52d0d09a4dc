//! Deployments that do not work out: what was said, what is left.

use std::time::Duration;

use super::fixtures::{name_of, of_version, service, with_replicas};
use super::stage::Stage;
use crate::model::exit::ExitCode;
use crate::model::platform::ServiceSpec;
use crate::model::status::ServiceState;

fn impatient(mut service: ServiceSpec) -> ServiceSpec {
    service.run.health.start_period = Duration::from_millis(200);
    service
}

#[tokio::test]
async fn a_caller_is_not_started_when_what_it_calls_cannot_be() {
    let stage = Stage::new();
    stage.fake.fail_launch(&name_of("product"), "no such file");
    let outcome =
        stage.apply([service("order", &["product"]), service("product", &[]), service("gone", &[])]).await;
    assert_eq!(outcome.ready, ["gone"]);
    assert_eq!(outcome.failed["product"].message, "cannot run product.v1.1: no such file");
    assert_eq!(outcome.failed["order"].message, "not started, because it calls product, which failed");
    assert_eq!(outcome.failed["order"].hint.as_deref(), Some("mend product first"));
    assert_eq!(outcome.exit_code(), ExitCode::Unhealthy);
    stage.assert_serving("gone.v1.1").await;
}

#[tokio::test]
async fn an_instance_that_never_gets_ready_is_removed_and_the_last_answer_is_told() {
    let stage = Stage::new();
    stage.fake.set_health(&name_of("order"), 503);
    let outcome = stage.apply([impatient(service("order", &[]))]).await;
    let failure = &outcome.failed["order"];
    assert_eq!(
        failure.message,
        "order.v1.1 is not ready within 200ms: GET /health/ready answers 503 Service Unavailable"
    );
    assert!(
        failure.timed_out && failure.hint.as_ref().unwrap().contains("health.start_period"),
        "{failure:?}"
    );
    assert_eq!(outcome.exit_code(), ExitCode::TimedOut);
    stage.assert_serving("").await;
}

#[tokio::test]
async fn of_an_instance_that_exits_at_once_the_last_lines_are_shown_and_all_are_kept() {
    let stage = Stage::new();
    stage.fake.exit_after_launch(&name_of("order"), Some(3));
    let outcome = stage.apply([service("order", &[])]).await;
    let failure = &outcome.failed["order"];
    assert_eq!(failure.message, "order.v1.1 exited with code 3 before it was ready");
    assert!(!failure.timed_out);
    let lines: Vec<String> = (1..=30).map(|number| format!("line {number} ")).collect();
    assert_eq!(failure.excerpt, lines[10..]);
    let path = stage.failure_logs.path().join("order.v1.1.log");
    assert_eq!(failure.log.as_deref(), path.to_str());
    assert_eq!(std::fs::read_to_string(path).unwrap(), lines.join("\n") + "\n");
    stage.assert_serving("").await;
}

#[tokio::test]
async fn the_old_version_keeps_serving_when_the_new_one_never_gets_ready() {
    let stage = Stage::new();
    let order = || impatient(with_replicas(service("order", &[]), 2));
    stage.deploy([order()]).await;
    stage.routes.count_anew();
    stage.fake.set_health(&name_of("order"), 503);
    let outcome = stage.apply([of_version(order(), 2)]).await;
    assert_eq!(outcome.ready, ["order"]);
    assert!(outcome.failed["order"].message.starts_with("order.v2.1 is not ready"), "{outcome:?}");
    stage.assert_serving("order.v1.1 order.v1.2").await;
    let status = &stage.engine.status().await.unwrap()[0];
    assert_eq!((status.state, status.failures), (ServiceState::Ready, 1));
}

#[tokio::test]
async fn the_old_version_keeps_serving_when_the_new_one_has_no_image() {
    let stage = Stage::new();
    stage.deploy([service("order", &[])]).await;
    let outcome = stage.apply([of_version(service("order", &[]), 9)]).await;
    assert!(
        outcome.failed["order"].message.starts_with("no image order:9 is on this machine"),
        "{outcome:?}"
    );
    stage.assert_serving("order.v1.1").await;
}

#[tokio::test]
async fn a_failed_service_is_tried_again_by_itself() {
    let stage = Stage::new();
    stage.fake.fail_launch(&name_of("order"), "no such file");
    let outcome = stage.apply([service("order", &[])]).await;
    assert_eq!(outcome.failed.len(), 1);
    let status = &stage.engine.status().await.unwrap()[0];
    assert_eq!((status.state, status.failures), (ServiceState::Failed, 1));
    stage.fake.allow_launch(&name_of("order"));
    stage.done("admit order.v1.1").await;
    stage.assert_serving("order.v1.1").await;
}

#[tokio::test]
async fn applying_a_mended_manifest_does_not_wait_out_the_pause() {
    let stage = Stage::new();
    stage.apply([of_version(service("order", &[]), 9)]).await;
    stage.deploy([of_version(service("order", &[]), 2)]).await;
    assert_eq!(stage.routes.serving(), "order.v1.1");
}
