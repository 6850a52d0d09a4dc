//! Several things under way at once, and what is newer than something under way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::fixtures::{name_of, names, of_version, platform, service};
use super::stage::Stage;
use crate::model::event::EventKind;
use crate::model::exit::ExitCode;
use crate::model::outcome::Outcome;
use crate::model::platform::ServiceSpec;

/// Asks for these services, and waits until the step has begun, which takes the service's whole start
/// period.
async fn begin(stage: &Stage, services: [ServiceSpec; 2], step: &str) -> tokio::task::JoinHandle<Outcome> {
    let engine = stage.engine.clone();
    let asked = Arc::new(platform(services));
    let applied = tokio::spawn(async move { engine.apply(asked, None).await.unwrap() });
    let begun = |event: &EventKind| match event {
        EventKind::StepStarted { step: kind, subject, .. } => {
            (format!("{kind} {subject}") == step).then_some(())
        }
        _ => None,
    };
    stage.journal.wait(begun).await;
    applied
}

#[tokio::test]
async fn a_service_that_takes_long_to_get_ready_does_not_hold_another_one_up() {
    let stage = Stage::new();
    let (order, product) = (service("order", &[]), service("product", &[]));
    stage.deploy([order.clone(), product.clone()]).await;
    stage.fake.set_health(&name_of("order"), 503);
    let order = of_version(order, 2);
    let slow = begin(&stage, [order.clone(), product.clone()], "await-ready order.v2.1").await;
    let outcome = stage.apply([order, of_version(product, 2)]).await;
    assert!(outcome.failed["order"].message.starts_with("order.v2.1 is not ready"), "{outcome:?}");
    assert_eq!(slow.await.unwrap(), outcome, "both are told how everything ended");
    stage.journal.assert_order(&[
        "+await-ready order.v2.1",
        "=stop+remove product.v1.1",
        "!await-ready order.v2.1",
    ]);
    stage.assert_serving("order.v1.1 product.v2.1").await;
}

#[tokio::test]
async fn nothing_waits_for_the_end_of_what_takes_no_requests_any_more() {
    let stage = Stage::new();
    let (order, product) = (service("order", &[]), service("product", &[]));
    stage.deploy([order.clone(), product.clone()]).await;
    stage.fake.ignore_stops(&name_of("order"), true);
    let second = [of_version(order.clone(), 2), product.clone()];
    let second = begin(&stage, second, "stop+remove order.v1.1").await;
    let third = begin(&stage, [of_version(order, 3), product], "stop+remove order.v2.1").await;
    assert_eq!(stage.routes.serving(), "order.v3.1 product.v1.1");
    stage.fake.ignore_stops(&name_of("order"), false);
    let outcome = third.await.unwrap();
    assert!(outcome.failed.is_empty(), "{outcome:?}");
    assert_eq!(second.await.unwrap(), outcome);
    stage.assert_serving("order.v3.1 product.v1.1").await;
}

#[tokio::test]
async fn a_version_that_nobody_wants_any_more_is_given_up_for_the_newer_one() {
    let stage = Stage::new();
    let (order, product) = (service("order", &[]), service("product", &[]));
    stage.deploy([order.clone(), product.clone()]).await;
    stage.routes.count_anew();
    stage.fake.set_health(&name_of("order"), 503);
    let second = [of_version(order.clone(), 2), product.clone()];
    let given_up = begin(&stage, second, "await-ready order.v2.1").await;
    stage.fake.set_health(&name_of("order"), 200);
    // It would have got ready now, were it not for the third one.
    let outcome = stage.apply([of_version(order, 3), product]).await;
    assert!(outcome.failed.is_empty(), "{outcome:?}");
    assert_eq!(given_up.await.unwrap(), outcome);
    stage.assert_serving("order.v3.1 product.v1.1").await;
    assert_eq!(stage.fewest("order"), 1);
}

#[tokio::test]
async fn what_calls_a_service_that_is_not_ready_yet_waits_for_it() {
    let stage = Stage::new();
    stage.fake.set_health(&name_of("product"), 503);
    let (order, product) = (service("order", &["product"]), service("product", &[]));
    let gone = service("gone", &[]);
    let applied = begin(&stage, [product.clone(), gone.clone()], "await-ready product.v1.1").await;
    let engine = stage.engine.clone();
    let all = Arc::new(platform([order, product, gone]));
    let with_order = tokio::spawn(async move { engine.apply(all, None).await.unwrap() });
    stage.done("admit gone.v1.1").await;
    stage.fake.set_health(&name_of("product"), 200);
    let outcome = with_order.await.unwrap();
    assert!(outcome.failed.is_empty(), "{outcome:?}");
    assert!(applied.await.unwrap().failed.is_empty());
    stage.journal.assert_order(&["=admit product.v1.1", "+create+start order.v1.1"]);
}

#[tokio::test]
async fn who_asks_for_a_service_does_not_wait_for_another_one() {
    let stage = Stage::new();
    let (mut order, product) = (service("order", &[]), service("product", &[]));
    order.run.health.start_period = Duration::from_secs(600);
    stage.deploy([order.clone(), product.clone()]).await;
    stage.fake.set_health(&name_of("order"), 503);
    let all = [of_version(order, 2), product];
    let slow = begin(&stage, all.clone(), "await-ready order.v2.1").await;
    let restarted = stage.engine.restart(names(&["product"])).await.unwrap();
    let scaled = stage.engine.scale(BTreeMap::from([(name_of("product"), 2)])).await.unwrap();
    let applied = stage.engine.apply(Arc::new(platform(all)), Some(names(&["product"]))).await.unwrap();
    for outcome in [restarted, scaled, applied] {
        assert_eq!((outcome.ready, outcome.failed.len()), (vec!["product".to_owned()], 0));
    }
    assert_eq!(stage.routes.serving(), "order.v1.1 product.v2.1 product.v2.2");
    stage.fake.set_health(&name_of("order"), 200);
    assert_eq!(slow.await.unwrap().ready, ["order", "product"], "who asks for all waits for all");
    stage.assert_serving("order.v2.1 product.v2.1 product.v2.2").await;
}

#[tokio::test]
async fn who_asks_for_a_service_is_told_of_no_other_one_that_fails() {
    let stage = Stage::new();
    let (order, product) = (service("order", &[]), service("product", &[]));
    let gone = service("gone", &["product"]);
    stage.fake.exit_after_launch(&name_of("order"), Some(7));
    let all = [order, product, gone];
    assert!(stage.apply(all.clone()).await.failed.contains_key("order"));
    let (engine, product) = (&stage.engine, || names(&["product"]));
    let applied = engine.apply(Arc::new(platform(all.clone())), Some(names(&["gone"]))).await.unwrap();
    assert_eq!((applied.ready.join(" ").as_str(), applied.failed.len()), ("gone product", 0));
    for outcome in [engine.redeploy(product()).await, engine.restart(product()).await] {
        let outcome = outcome.unwrap();
        assert_eq!((outcome.ready.join(" ").as_str(), outcome.exit_code()), ("product", ExitCode::Ok));
    }
    let of_order = engine.restart(names(&["order"])).await.unwrap();
    assert_eq!((of_order.ready.len(), of_order.failed.len()), (0, 1), "{of_order:?}");
    assert_eq!(stage.apply(all).await.exit_code(), ExitCode::Unhealthy);
}

#[tokio::test]
async fn who_asks_for_a_service_waits_for_those_that_it_has_to_wait_for() {
    let stage = Stage::new();
    stage.fake.set_health(&name_of("product"), 503);
    let (order, mut product) = (service("order", &["product"]), service("product", &[]));
    product.run.health.start_period = Duration::from_secs(600);
    let gone = service("gone", &[]);
    let applied = begin(&stage, [product.clone(), gone.clone()], "await-ready product.v1.1").await;
    let (engine, all) = (stage.engine.clone(), Arc::new(platform([order, product, gone])));
    let mut with_order =
        tokio::spawn(async move { engine.apply(all, Some(names(&["order"]))).await.unwrap() });
    let of_gone = stage.engine.restart(names(&["gone"])).await.unwrap();
    assert_eq!(of_gone.ready, ["gone"]);
    assert!(futures_util::FutureExt::now_or_never(&mut with_order).is_none());
    stage.fake.set_health(&name_of("product"), 200);
    assert_eq!(with_order.await.unwrap().ready, ["order", "product"]);
    assert_eq!(applied.await.unwrap().failed.len(), 0);
    stage.assert_serving("gone.v2.1 order.v1.1 product.v1.1").await;
}
