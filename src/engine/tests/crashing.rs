//! The process dies at every point of a deployment in turn; the next one converges.

use std::sync::Arc;

use super::fixtures::{instance, of_version, platform, service, with_replicas};
use super::mortal::{Last, Mortal};
use super::stage::Stage;
use crate::model::platform::ServiceSpec;
use crate::runtime::fake::Fake;

/// More calls than any of these deployments makes.
const ENOUGH: usize = 200;

fn before() -> Vec<ServiceSpec> {
    vec![service("order", &["product"]), with_replicas(service("product", &[]), 2), service("gone", &[])]
}

fn after() -> Vec<ServiceSpec> {
    vec![
        with_replicas(of_version(service("order", &["product"]), 2), 2),
        of_version(service("product", &[]), 2),
    ]
}

/// A world in which an engine that is gone has deployed something.
async fn deployed() -> Fake {
    let stage = Stage::new();
    stage.deploy(before()).await;
    stage.fake
}

/// Deploys until the process dies at its call number `calls`; whether it did.
async fn deploy_and_die(fake: &Fake, calls: usize, last: Last) -> bool {
    let mortal = Arc::new(Mortal::new(fake.clone(), calls, last));
    let victim = Stage::over(fake, Arc::clone(&mortal) as _);
    let applied = victim.apply(after());
    tokio::select! {
        () = mortal.death.notified() => true,
        outcome = applied => {
            assert!(outcome.failed.is_empty(), "{outcome:?}");
            false
        }
    }
}

async fn assert_converges(fake: &Fake, place: &str) {
    let next = Stage::over(fake, Arc::new(fake.clone()));
    let outcome = next.apply(after()).await;
    assert!(outcome.failed.is_empty() && outcome.blind.is_none(), "{place}: {outcome:#?}");
    let existing = next.existing().await;
    assert_eq!(existing, next.routes.serving(), "{place}");
    let services: Vec<_> = existing.split(' ').map(|name| instance(name).service.to_string()).collect();
    assert_eq!(services, ["order", "order", "product"], "{place}");
    let again = next.engine.plan(Arc::new(platform(after())), None).await.unwrap().unwrap();
    assert_eq!(again.to_string(), "", "{place}");
}

async fn check_every_cut(last: Last) {
    for calls in 0..ENOUGH {
        let fake = deployed().await;
        let died = deploy_and_die(&fake, calls, last).await;
        assert_converges(&fake, &format!("call {calls}, {last:?}")).await;
        if !died {
            assert!(calls > 10, "the deployment takes more calls than that");
            return;
        }
    }
    panic!("the deployment never ended");
}

#[tokio::test]
async fn a_process_that_dies_after_any_call_leaves_what_the_next_one_can_finish() {
    check_every_cut(Last::Done).await;
}

#[tokio::test]
async fn a_process_that_dies_before_any_call_leaves_what_the_next_one_can_finish() {
    check_every_cut(Last::Lost).await;
}
