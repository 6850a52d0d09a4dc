//! What happens to a platform by itself, and how it comes back.

use std::time::Duration;

use tokio::time::Instant;

use super::fixtures::{instance, name_of, service, with_replicas};
use super::stage::Stage;
use crate::model::event::{EventKind, StepKind};
use crate::model::exit::ExitCode;
use crate::runtime::Runtime;

#[tokio::test]
async fn an_instance_that_dies_takes_no_more_requests_and_is_started_again_after_a_pause() {
    let stage = Stage::new();
    stage.deploy([with_replicas(service("order", &[]), 2)]).await;
    stage.journal.forget();
    let died = Instant::now();
    stage.fake.exit(&instance("order.v1.1"), 1);
    assert_eq!(stage.exited(&instance("order.v1.1")).await, Some(Duration::from_secs(1)));
    assert_eq!(stage.routes.serving(), "order.v1.2");
    stage.done("admit order.v1.1").await;
    assert!(died.elapsed() >= Duration::from_secs(1));
    stage.assert_serving("order.v1.1 order.v1.2").await;
}

/// Such as one that an earlier process had asked to stop when it was killed.
#[tokio::test]
async fn what_was_found_running_and_ends_before_it_is_ready_is_started_anew_and_is_no_failure() {
    let stage = Stage::new();
    stage.deploy([service("order", &[])]).await;
    stage.fake.set_health(&name_of("order"), 503);
    let later = Stage::over(&stage.fake, std::sync::Arc::new(stage.fake.clone()));
    drop(stage.engine);
    let ending = async {
        let is_awaited = |event: &EventKind| {
            matches!(event, EventKind::StepStarted { step: StepKind::AwaitReady, .. }).then_some(())
        };
        later.journal.wait(is_awaited).await;
        later.fake.exit(&instance("order.v1.1"), 0);
        later.fake.set_health(&name_of("order"), 200);
    };
    tokio::join!(later.deploy([service("order", &[])]), ending);
    assert_eq!(later.engine.status().await.unwrap()[0].failures, 0);
    assert_eq!(later.existing().await, later.routes.serving());
    assert_eq!(later.routes.serving().split(' ').count(), 1);
}

#[tokio::test]
async fn what_an_instance_printed_before_it_died_is_told_and_kept() {
    let stage = Stage::new();
    stage.deploy([service("order", &[])]).await;
    let lost = instance("order.v1.1");
    stage.fake.write_log(&lost, "no room left");
    stage.fake.exit(&lost, 7);
    let (excerpt, log) = stage
        .journal
        .wait(|event| match event {
            EventKind::LastWords { instance, excerpt, log, .. } if instance == "order.v1.1" => {
                Some((excerpt.clone(), log.clone()))
            }
            _ => None,
        })
        .await;
    assert_eq!(excerpt.last().map(String::as_str), Some("no room left"));
    let kept = std::fs::read_to_string(log.as_deref().unwrap()).unwrap();
    assert!(kept.ends_with("no room left\n"), "{kept}");
    let order = &stage.engine.status().await.unwrap()[0];
    assert_eq!((order.problem.as_deref(), &order.log), (Some("order.v1.1 exited with code 7"), &log));
}

#[tokio::test]
async fn an_instance_that_somebody_removed_is_replaced() {
    let stage = Stage::new();
    stage.deploy([service("order", &[])]).await;
    stage.journal.forget();
    let lost = instance("order.v1.1");
    stage.fake.stop(&lost, Duration::ZERO).await.unwrap();
    stage.fake.remove(&lost).await.unwrap();
    assert_eq!(stage.exited(&lost).await, None, "it is replaced at once");
    // A name whose instance nobody can look at any more is not used again.
    stage.done("admit order.v2.1").await;
    stage.assert_serving("order.v2.1").await;
}

#[tokio::test]
async fn a_service_that_keeps_dying_waits_longer_each_time() {
    let stage = Stage::new();
    stage.deploy([service("order", &[])]).await;
    for pause in [1, 2] {
        stage.journal.forget();
        stage.fake.exit(&instance("order.v1.1"), 1);
        let expected = Some(Duration::from_secs(pause));
        assert_eq!(stage.exited(&instance("order.v1.1")).await, expected);
        stage.done("admit order.v1.1").await;
    }
}

#[tokio::test]
async fn an_engine_that_is_gone_leaves_everything_as_it_is_until_it_is_back() {
    let stage = Stage::new();
    stage.deploy([service("order", &[])]).await;
    stage.fake.crash_engine(true);
    stage.journal.wait(|event| matches!(event, EventKind::EngineLost { .. }).then_some(())).await;
    assert_eq!(stage.routes.serving(), "order.v1.1", "what cannot be seen may well serve");

    let outcome = stage.apply([service("order", &[]), service("product", &[])]).await;
    assert!(outcome.blind.is_some(), "{outcome:?}");
    assert_eq!(
        (outcome.ready.as_slice(), outcome.exit_code()),
        (["order".to_owned()].as_slice(), ExitCode::EngineUnreachable)
    );

    stage.fake.crash_engine(false);
    stage.done("admit product.v1.1").await;
    stage.assert_serving("order.v1.1 product.v1.1").await;
    let turns = |event: &EventKind| matches!(event, EventKind::EngineLost { .. } | EventKind::EngineBack);
    assert_eq!(stage.journal.events().iter().filter(|event| turns(event)).count(), 2);
}

#[tokio::test]
async fn an_engine_that_goes_in_mid_deployment_is_waited_for() {
    let stage = Stage::new();
    stage.fake.set_health(&name_of("order"), 503);
    let engine = stage.engine.clone();
    let all = super::fixtures::platform([service("order", &[])]);
    let applying = tokio::spawn(async move { engine.apply(all.into(), None).await.unwrap() });
    stage.done("create+start order.v1.1").await;
    stage.fake.crash_engine(true);
    let outcome = applying.await.unwrap();
    assert_eq!(outcome.exit_code(), ExitCode::EngineUnreachable, "{outcome:?}");
    stage.fake.set_health(&name_of("order"), 200);
    stage.fake.crash_engine(false);
    stage.done("admit order.v1.1").await;
    stage.assert_serving("order.v1.1").await;
}
