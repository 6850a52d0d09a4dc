//! One engine stands still, and another goes on in its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;

use super::fixtures::{name_of, names, of_version, platform, service};
use super::stage::Stage;
use crate::engine::Stopping;

fn two() -> [crate::model::platform::ServiceSpec; 2] {
    [service("order", &[]), service("product", &[])]
}

#[tokio::test]
async fn an_engine_at_rest_does_nothing_until_it_goes_on() {
    let stage = Stage::new();
    stage.deploy(two()).await;
    let rest = stage.engine.rest().await.unwrap();
    let scaled = stage.engine.scale(BTreeMap::from([(name_of("order"), 2)]));
    tokio::pin!(scaled);
    for _ in 0..50 {
        assert!(scaled.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    stage.assert_serving("order.v1.1 product.v1.1").await;
    drop(rest);
    scaled.await.unwrap();
    stage.assert_serving("order.v1.1 order.v1.2 product.v1.1").await;
}

#[tokio::test]
async fn what_is_under_way_is_finished_before_the_rest() {
    let stage = Stage::new();
    let (applied, rest) = tokio::join!(stage.apply(two()), stage.engine.rest());
    assert_eq!(applied.ready.len(), 2);
    assert!(rest.unwrap().wishes.is_some());
    stage.assert_serving("order.v1.1 product.v1.1").await;
}

#[tokio::test]
async fn another_engine_goes_on_with_what_was_asked_for_and_touches_nothing() {
    let stage = Stage::new();
    let all = Arc::new(platform(two()));
    stage.engine.apply(Arc::clone(&all), Some(names(&["order"]))).await.unwrap();
    stage.engine.scale(BTreeMap::from([(name_of("order"), 2)])).await.unwrap();
    let rest = stage.engine.rest().await.unwrap();
    let wishes = rest.wishes.clone().unwrap();
    rest.end();
    assert_eq!(stage.engine.restart(names(&["order"])).await.unwrap_err(), Stopping);

    let next = Stage::over(&stage.fake, Arc::new(stage.fake.clone()));
    let outcome = next.engine.succeed(Arc::clone(&all), wishes).await.unwrap();
    assert!(outcome.failed.is_empty(), "{outcome:?}");
    next.assert_serving("order.v1.1 order.v1.2").await;
    next.deploy([of_version(service("order", &[]), 2)]).await;
    next.assert_serving("order.v2.1 order.v2.2").await;
}

#[tokio::test]
async fn an_engine_of_which_nobody_has_asked_anything_has_no_wishes_to_pass_on() {
    let stage = Stage::new();
    assert_eq!(stage.engine.rest().await.unwrap().wishes, None);
}
