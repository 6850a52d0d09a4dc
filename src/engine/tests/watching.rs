//! Versions that get ready and then stop: there is a way back.

use std::sync::Arc;
use std::time::Duration;

use super::fixtures::{instance, name_of, of_version, platform, service, with_replicas};
use super::stage::Stage;
use crate::model::event::{EventKind, StepKind};
use crate::model::exit::ExitCode;
use crate::model::outcome::Outcome;
use crate::model::platform::ServiceSpec;
use crate::model::status::ServiceState;
use crate::runtime::fake::Fake;

/// Longer than any of these tests: whoever waits for its end waits for ever.
const LONG: Duration = Duration::from_secs(3600);

/// The first version of `order` serves, and a newer one will be watched for long.
async fn deployed(replicas: u16) -> Stage {
    let fake = Stage::new().fake;
    let stage = over(&fake);
    stage.deploy([order(1, replicas)]).await;
    stage.routes.count_anew();
    stage.journal.forget();
    stage
}

/// A new process in a world.
fn over(fake: &Fake) -> Stage {
    Stage::watching(fake, Arc::new(fake.clone()), LONG)
}

fn order(version: u32, replicas: u16) -> ServiceSpec {
    of_version(with_replicas(service("order", &[]), replicas), version)
}

fn begin(stage: &Stage, service: ServiceSpec) -> tokio::task::JoinHandle<Outcome> {
    let (engine, asked) = (stage.engine.clone(), Arc::new(platform([service])));
    tokio::spawn(async move { engine.apply(asked, None).await.unwrap() })
}

/// Waits until an instance is watched.
async fn watched(stage: &Stage, name: &str) {
    let is_it = |event: &EventKind| match event {
        EventKind::StepStarted { step: StepKind::Watch, subject, .. } => (subject == name).then_some(()),
        _ => None,
    };
    stage.journal.wait(is_it).await;
}

#[tokio::test]
async fn a_version_that_stops_within_its_window_gives_way_to_the_one_before() {
    let stage = deployed(1).await;
    let applied = begin(&stage, order(2, 1));
    watched(&stage, "order.v2.1").await;
    stage.done("drain order.v1.1").await;
    stage.fake.exit(&instance("order.v2.1"), 3);
    let outcome = applied.await.unwrap();
    let failure = &outcome.failed["order"];
    assert_eq!(failure.message, "order.v2.1 exited with code 3 within 1h of its first request");
    assert!(failure.hint.as_ref().unwrap().starts_with("v1 serves"), "{failure:?}");
    assert!(failure.excerpt.contains(&"line 30 ".to_owned()), "{failure:?}");
    assert_eq!((outcome.exit_code(), outcome.ready.len()), (ExitCode::Unhealthy, 1));
    stage.assert_serving("order.v1.1").await;
    assert_eq!(stage.fewest("order"), 1);
    let status = &stage.engine.status().await.unwrap()[0];
    assert_eq!((status.state, status.failures), (ServiceState::Ready, 1));
    stage.journal.assert_order(&["+watch order.v2.1", "=admit order.v1.1", "!watch order.v2.1"]);
}

#[tokio::test]
async fn all_that_a_roll_has_replaced_so_far_is_called_back_and_it_goes_no_further() {
    let stage = deployed(3).await;
    let applied = begin(&stage, order(2, 3));
    watched(&stage, "order.v2.2").await;
    stage.fake.set_health(&name_of("order"), 503);
    stage.fake.exit(&instance("order.v2.1"), 3);
    let outcome = applied.await.unwrap();
    assert!(outcome.failed["order"].message.starts_with("order.v2.1 exited with code 3"), "{outcome:?}");
    assert!(!stage.journal.steps().contains(&"+withdraw order.v1.3".to_owned()));
    stage.assert_serving("order.v1.1 order.v1.2 order.v1.3").await;
    assert_eq!(stage.fewest("order"), 3);
}

#[tokio::test]
async fn a_newer_version_does_not_wait_until_the_one_before_was_watched() {
    let stage = deployed(1).await;
    let second = begin(&stage, order(2, 1));
    watched(&stage, "order.v2.1").await;
    let third = begin(&stage, order(3, 1));
    watched(&stage, "order.v3.1").await;
    assert_eq!(stage.existing().await, "order.v1.1 order.v2.1 order.v3.1");
    assert_eq!(stage.routes.serving(), "order.v3.1");
    stage.journal.forget();
    stage.fake.exit(&instance("order.v3.1"), 3);
    watched(&stage, "order.v2.1").await;
    assert_eq!(stage.routes.serving(), "order.v2.1", "what served last is what it goes back to");
    stage.fake.exit(&instance("order.v2.1"), 3);
    let outcome = third.await.unwrap();
    assert!(outcome.failed["order"].message.starts_with("order.v3.1 exited"), "{outcome:?}");
    assert_eq!(second.await.unwrap(), outcome);
    stage.assert_serving("order.v1.1").await;
    assert_eq!(stage.fewest("order"), 1);
}

#[tokio::test]
async fn a_newer_version_that_fails_leaves_the_one_before_to_be_watched_to_its_end() {
    let stage = deployed(1).await;
    let second = begin(&stage, order(2, 1));
    watched(&stage, "order.v2.1").await;
    stage.journal.forget();
    let third = begin(&stage, order(9, 1));
    watched(&stage, "order.v2.1").await;
    stage.fake.exit(&instance("order.v2.1"), 3);
    assert!(third.await.unwrap().failed.contains_key("order"));
    stage.assert_serving("order.v1.1").await;
    assert_eq!(stage.fewest("order"), 1);
    drop(second);
}

#[tokio::test]
async fn what_was_given_up_while_it_was_watched_may_stop_and_the_one_before_still_serves() {
    let stage = deployed(1).await;
    let second = begin(&stage, order(2, 1));
    watched(&stage, "order.v2.1").await;
    stage.fake.set_health(&name_of("order"), 503);
    let third = begin(&stage, order(3, 1));
    stage.done("create+start order.v3.1").await;
    stage.fake.exit(&instance("order.v2.1"), 3);
    stage.done("admit order.v1.1").await;
    assert_eq!(stage.routes.serving(), "order.v1.1");
    stage.fake.set_health(&name_of("order"), 200);
    stage.done("admit order.v3.1").await;
    assert_eq!(stage.routes.serving(), "order.v3.1");
    drop((second, third));
}

#[tokio::test]
async fn a_process_that_dies_while_it_watches_loses_nothing() {
    let stage = deployed(1).await;
    let applied = begin(&stage, order(2, 1));
    watched(&stage, "order.v2.1").await;
    applied.abort();
    drop(stage.engine);
    stage.fake.exit(&instance("order.v2.1"), 3);
    stage.fake.exit_after_launch(&name_of("order"), Some(3));
    let next = over(&stage.fake);
    let outcome = next.apply([order(2, 1)]).await;
    assert!(
        outcome.failed["order"].message.contains("exited with code 3 before it was ready"),
        "{outcome:?}"
    );
    assert_eq!(outcome.ready, ["order"]);
    next.assert_serving("order.v1.1").await;
}

#[tokio::test]
async fn a_stop_does_not_wait_until_somebody_was_watched() {
    let stage = deployed(1).await;
    let applied = begin(&stage, order(2, 1));
    watched(&stage, "order.v2.1").await;
    let report = stage.engine.stop().await.unwrap();
    assert!(report.failed.is_empty() && report.unseen.is_none(), "{report:?}");
    stage.assert_serving("").await;
    applied.abort();
}

#[tokio::test]
async fn an_engine_at_rest_has_broken_off_its_watch_and_the_next_one_watches_again() {
    let stage = deployed(1).await;
    let applied = begin(&stage, order(2, 1));
    watched(&stage, "order.v2.1").await;
    tokio::time::pause();
    let rest = stage.engine.rest().await.unwrap();
    tokio::time::resume();
    let wishes = rest.wishes.clone().unwrap();
    rest.end();
    applied.abort();
    let next = over(&stage.fake);
    let all = Arc::new(platform([order(2, 1)]));
    let engine = next.engine.clone();
    let going_on = tokio::spawn(async move { engine.succeed(all, wishes).await });
    watched(&next, "order.v2.1").await;
    next.fake.exit(&instance("order.v2.1"), 3);
    assert!(going_on.await.unwrap().unwrap().failed.contains_key("order"));
    next.assert_serving("order.v1.1").await;
}
