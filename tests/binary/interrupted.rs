//! Ctrl-C and its relatives, at every moment: nothing is left running, and the exit code says so.

use std::time::Duration;

use rustix::process::Signal;

use crate::harness::platform::{TestPlatform, TestService};
use crate::harness::wait::until;

use super::processes::{none_is_left, processes};

#[test]
fn before_anything_is_built() {
    let shop = TestPlatform::of(&[TestService::named("order")]);
    for arguments in [&["up"][..], &["up", "-d"]] {
        let up = shop.command(arguments).spawn();
        up.signal(Signal::INT);
        up.finish().expect_code(130);
        shop.msctl(&["down"]).success();
        none_is_left(&shop);
    }
}

#[test]
fn in_the_middle_of_a_build_which_ends_with_its_children() {
    let build = "sleep 300 & echo started; sleep 301; echo never";
    let shop = TestPlatform::of(&[TestService::named("order").built_by(build, "out/order")]);
    let up = shop.command(&["up", "--verbose"]).spawn();
    up.says("order | started");
    let sleeping = || processes(&shop).iter().filter(|process| process.contains("sleep 30")).count();
    until(Duration::from_secs(5), "both children", || (sleeping() >= 2).then_some(()));
    up.signal(Signal::INT);
    let ended = up.finish_within(Duration::from_secs(10)).expect_code(130);
    assert!(!ended.stderr.contains("error"), "{}", ended.stderr);
    none_is_left(&shop);
}

#[test]
fn while_a_service_gets_ready() {
    let order = TestService::named("order").set("READY_AFTER_MS", "600000").start_period("300s");
    let shop = TestPlatform::of(&[order]);
    let up = shop.command(&["up"]).spawn();
    until(Duration::from_secs(20), "the instance", || {
        shop.ps()["services"][0]["instances"][0].is_object().then_some(())
    });
    up.signal(Signal::INT);
    up.finish_within(Duration::from_secs(10)).expect_code(130);
    none_is_left(&shop);
}

#[test]
fn while_it_runs_by_each_of_the_signals() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let shop = TestPlatform::of(&[TestService::named("order").run("replicas = 2")]);
        let up = shop.command(&["up"]).spawn();
        up.says("Ctrl-C stops it");
        up.signal(signal);
        let ended = up.finish_within(Duration::from_secs(15)).expect_code(130);
        assert_eq!(ended.stdout, "");
        assert!(ended.stderr.contains("order.v1.2 removed"), "{}", ended.stderr);
        none_is_left(&shop);
    }
}

#[test]
fn the_second_time_kills_what_does_not_obey() {
    let order = TestService::named("order").set("IGNORE_TERM", "1").run("stop_grace = \"300s\"");
    let shop = TestPlatform::of(&[order]);
    let up = shop.command(&["up"]).spawn();
    up.says("Ctrl-C stops it");
    up.signal(Signal::INT);
    up.says("stopping");
    up.signal(Signal::INT);
    up.finish_within(Duration::from_secs(10)).expect_code(130);
    none_is_left(&shop);
}

#[test]
fn while_waiting_for_a_detached_platform_which_goes_on() {
    let order = TestService::named("order").set("READY_AFTER_MS", "2000").start_period("300s");
    let shop = TestPlatform::of(&[order]);
    let up = shop.command(&["up", "-d"]).spawn();
    up.says("order: built");
    up.signal(Signal::INT);
    up.finish_within(Duration::from_secs(5)).expect_code(130);
    until(Duration::from_secs(20), "the instance serves", || {
        (shop.ps()["services"][0]["state"] == "ready").then_some(())
    });
}

#[test]
fn while_following_logs() {
    let shop = TestPlatform::of(&[TestService::named("order")]);
    shop.up();
    let logs = shop.command(&["logs", "-f"]).spawn();
    logs.says("listening on");
    logs.signal(Signal::INT);
    let ended = logs.finish_within(Duration::from_secs(5)).expect_code(130);
    assert_eq!(ended.stderr, "");
    assert_eq!(shop.instances("order").len(), 1);
}
