//! More than one msctl on the same platform, and one that died.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::platform::{TestPlatform, TestService};
use crate::harness::wait::until;

use super::processes::none_is_left;

fn shop() -> TestPlatform {
    TestPlatform::of(&[
        TestService::named("order").calls("product"),
        TestService::named("product").run("replicas = 2"),
    ])
}

/// The names of all instances.
fn instances(shop: &TestPlatform) -> Vec<String> {
    let all = ["order", "product"].iter().flat_map(|service| shop.instances(service));
    let mut names: Vec<String> = all.map(|(name, _)| name).collect();
    names.sort();
    names
}

const ONE_SET: [&str; 3] = ["order.v1.1", "product.v1.1", "product.v1.2"];

#[test]
fn two_ups_at_once_make_one_set_of_instances() {
    let shop = shop();
    let both: Vec<_> = (0..2).map(|_| shop.command(&["up", "-d"]).spawn()).collect();
    for up in both {
        up.finish().success();
    }
    assert_eq!(instances(&shop), ONE_SET);
}

#[test]
fn an_attached_and_a_detached_up_at_once_make_one_set_of_instances() {
    let shop = shop();
    let attached = shop.command(&["up"]).spawn();
    let detached = shop.command(&["up", "-d"]).spawn();
    detached.finish().success();
    attached.says(" ready in ");
    assert_eq!(instances(&shop), ONE_SET);
    // Whichever was first runs it; the other one has followed.
    if attached.stderr().contains("Ctrl-C stops it") {
        attached.signal(Signal::INT);
        attached.finish().expect_code(130);
        none_is_left(&shop);
    } else {
        attached.finish().success();
    }
}

/// Kills the platform process, whose number that was.
fn kill(shop: &TestPlatform) -> i32 {
    let pid = i32::try_from(shop.ps()["pid"].as_i64().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    until(std::time::Duration::from_secs(5), "the end of the platform process", || {
        (!fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())).then_some(())
    });
    pid
}

#[test]
fn what_a_killed_msctl_left_running_decides_where_the_next_one_goes_on() {
    let shop = shop();
    shop.up();
    let before = instances(&shop);
    kill(&shop);
    let refused = shop.msctl(&["up", "-d", "--runtime", "docker"]).expect_code(6);
    insta::assert_snapshot!(refused.stderr, @r"
    error: some of the platform runs on the process runtime still, and docker was asked for
    hint: go on there with: msctl up --runtime process, or remove it with: msctl down
    ");
    let up = shop.msctl(&["up", "-d", "--runtime", "auto"]).success();
    assert!(up.stderr.contains("local processes"), "{}", up.stderr);
    assert_eq!((shop.ps()["runtime"].as_str(), instances(&shop)), (Some("process"), before));
}

#[test]
fn what_a_killed_msctl_left_running_is_adopted() {
    let shop = shop();
    shop.up();
    let before = (shop.instances("order"), shop.instances("product"));
    let pid = kill(&shop);
    let ps = shop.msctl(&["ps"]).success();
    assert_eq!(ps.stderr, "shop is not up; start it with: msctl up\n");

    let up = shop.up();
    assert!(!up.stderr.contains("built"), "{}", up.stderr);
    assert_eq!((shop.instances("order"), shop.instances("product")), before);
    assert_eq!(shop.get("/order").body, "nothing at /order");
    assert_ne!(shop.ps()["pid"].as_i64().unwrap(), i64::from(pid));
}

#[test]
fn what_a_killed_msctl_left_running_can_be_taken_down() {
    let shop = shop();
    let attached = shop.command(&["up"]).spawn();
    attached.says(" ready in ");
    attached.signal(Signal::KILL);
    attached.finish().expect_code(137);
    shop.msctl(&["down"]).success();
    none_is_left(&shop);
}

#[test]
fn a_down_ends_an_attached_up() {
    let shop = shop();
    let attached = shop.command(&["up"]).spawn();
    attached.says(" ready in ");
    shop.msctl(&["down"]).success();
    let ended = attached.finish();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    none_is_left(&shop);
}

#[test]
fn an_up_during_a_down_comes_after_it() {
    let slow = TestService::named("order").set("IGNORE_TERM", "1").run("stop_grace = \"2s\"");
    let shop = TestPlatform::of(&[slow]);
    shop.up();
    for verb in [&["up", "-d"][..], &["up"]] {
        let before = shop.ps()["pid"].clone();
        let events = shop.command(&["events", "-f"]).spawn();
        let down = shop.command(&["down"]).spawn();
        events.says("stop+remove");
        let up = shop.command(verb).spawn();
        down.finish().success();
        up.says(" ready in ");
        assert_ne!(shop.ps()["pid"], before);
        assert_eq!(shop.get("/order").body, "nothing at /order");
    }
}
