//! What goes wrong with a container engine.

use std::time::Duration;

use crate::harness::engine::engine;
use crate::harness::platform::{RunsOn, TestPlatform, TestService};
use crate::harness::proxy::Proxy;
use crate::harness::wait::until;

#[test]
fn an_image_that_is_nowhere_is_named() {
    let Some(engine) = engine() else { return };
    let order = TestService::named("order").image("localhost:1/no-such-image:1");
    let shop = TestPlatform::new(&engine, &[order]);
    let up = shop.msctl(&["up", "-d"]).expect_code(5);
    assert!(up.stderr.contains("✗ order: "), "{}", up.stderr);
    assert!(up.stderr.contains("localhost:1/no-such-image:1"), "{}", up.stderr);
    assert_eq!(shop.instances("order"), []);
}

#[test]
fn an_engine_that_goes_away_in_the_middle_ends_up_and_is_said_to_have() {
    let Some(engine) = engine() else { return };
    let order = TestService::named("order").set("READY_AFTER_MS", "600000").start_period("300s");
    let shop = TestPlatform::new(&engine, &[order]);
    let proxy = Proxy::before(&engine);
    let up = shop.command(&["up"]).env("DOCKER_HOST", proxy.host()).spawn();
    up.says("order: built");
    until(Duration::from_secs(30), "the instance", || {
        shop.ps()["services"][0]["instances"][0].is_object().then_some(())
    });
    drop(proxy);
    let ended = up.finish_within(Duration::from_secs(15));
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    assert!(ended.stderr.contains("the engine went away"), "{}", ended.stderr);
    shop.write(&TestService::named("order"));
    shop.up();
    let instances = shop.instances("order");
    assert_eq!(instances.len(), 1, "{instances:?}");
    assert_eq!(shop.get("/order").body, "nothing at /order");
}

#[test]
fn a_container_that_the_engine_does_not_remove_holds_up_no_version_and_goes_when_it_can() {
    let Some(engine) = engine() else { return };
    let proxy = Proxy::before(&engine);
    let shop = TestPlatform::new(RunsOn::Containers(Some(proxy.host())), &[TestService::named("order")]);
    shop.up();
    let names = || shop.instances("order").into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    // It is at it, and has not come to the end yet.
    proxy.refuse_removals(3);
    shop.write(&TestService::named("order").set("MOOD", "new"));
    shop.up();
    assert_eq!(names(), ["order.v2.1"]);
    proxy.refuse_removals(usize::MAX);
    shop.write(&TestService::named("order").set("MOOD", "newer"));
    let up = shop.msctl(&["up", "-d"]);
    assert!(up.stderr.contains("which is stuck"), "{}", up.stderr);
    let order = &shop.ps()["services"][0];
    assert_eq!((&order["state"], &order["generation"]), (&"ready".into(), &3.into()), "{order}");
    assert_eq!(shop.get("/order").body, "nothing at /order");
    assert_eq!(names(), ["order.v2.1", "order.v3.1"]);
    proxy.refuse_removals(0);
    until(Duration::from_secs(60), "the old container to be removed", || {
        (names() == ["order.v3.1"]).then_some(())
    });
}
