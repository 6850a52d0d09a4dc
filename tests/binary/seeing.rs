//! What the gateway of a platform shows of itself: routes and why, counts, the access log.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::platform::{TestPlatform, TestService};
use crate::harness::wait::until;

/// The platform's one state folder.
fn state(shop: &TestPlatform) -> PathBuf {
    let mut folders = fs::read_dir(shop.home().join("state")).unwrap().map(|entry| entry.unwrap().path());
    folders.find(|path| path.join("admin.sock").exists()).expect("the platform is up")
}

fn lines(shop: &TestPlatform) -> Vec<Value> {
    let text = fs::read_to_string(state(shop).join("access.log")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn metrics(shop: &TestPlatform) -> String {
    let mut socket = UnixStream::connect(state(shop).join("admin.sock")).unwrap();
    socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: msctl\r\nConnection: close\r\n\r\n").unwrap();
    let mut metrics = String::new();
    socket.read_to_string(&mut metrics).unwrap();
    metrics
}

#[test]
fn the_end_of_the_certificate_is_shown() {
    let shop = TestPlatform::of(&[TestService::named("order")]);
    shop.write_manifest("tls = \"local\"");
    shop.up();
    let sample = "msctl_certificate_expiry_timestamp_seconds{listener=\"127.0.0.1:";
    until(Duration::from_secs(10), "the certificate's end", || metrics(&shop).contains(sample).then_some(()));
}

#[test]
fn a_request_is_noted_counted_and_shown() {
    let shop = TestPlatform::of(&[TestService::named("order")]);
    shop.up();
    shop.get("/order/7?secret=1");
    shop.get("/nowhere");
    let noted = until(Duration::from_secs(10), "two lines in the access log", || {
        Some(lines(&shop)).filter(|lines| lines.len() >= 2)
    });
    assert_eq!((&noted[0]["path"], &noted[0]["service"]), (&"/order/7".into(), &"order".into()));
    assert_eq!((&noted[1]["status"], &noted[1]["flag"]), (&404.into(), &"NR".into()));

    let metrics = metrics(&shop);
    assert!(metrics.contains("text/plain; version=0.0.4"), "{metrics}");
    let counted = "msctl_requests_total{service=\"order\",route=\"/order\",method=\"GET\",code=";
    assert!(metrics.contains(counted), "{metrics}");

    let routes = shop.msctl(&["routes", "--format", "json"]).success().json();
    let rows = routes["routes"].as_array().unwrap();
    let order = &rows.iter().find(|row| row["path"] == "/order").unwrap()["traffic"];
    assert_eq!((&order["requests"], &order["errors"]), (&1.into(), &0.into()));
    let folder = state(&shop);
    shop.msctl(&["down"]).success();
    assert!(folder.join("access.log").exists(), "the log outlives the platform");
}

#[test]
fn which_way_a_request_takes_is_told_by_the_manifest_and_by_the_platform_that_runs() {
    let shop = TestPlatform::of(&[TestService::named("order")]);
    let explain = |path: &str| shop.msctl(&["routes", "--explain", "get", path]).success().stdout;
    insta::assert_snapshot!(explain("/order/7?x=1"), @r#"
    request    GET /order/7
    host       localhost is nobody's own name: the path decides
    routes     ✓ /order (all) of order: it has the longest prefix that covers the path
    access     public
    service    order, which sees /order/7
    policy     max_body 10MiB · timeout.response 15s · timeout.total 1m · timeout.idle 5m · retries 1 · cors no · compress yes · forward_authorization yes
    balance    the less busy of two at random
    instances  none: it is not running
    "#);
    insta::assert_snapshot!(explain("/elsewhere"), @r#"
    request    GET /elsewhere
    host       localhost is nobody's own name: the path decides
    answer     404 route_not_found (NR): no route leads there
    "#);
    let asked = shop.msctl(&["routes", "--explain", "GET", "order"]).expect_code(1);
    assert_eq!(asked.stderr, "error: this is no request: the path has to start with \"/\"\n");
    shop.msctl(&["routes", "--explain", "GET", "/a b"]).expect_code(2);
    shop.up();
    let explained = explain("/order/health/live/x");
    let beaten = "- /order/health/live (GET) of order: it is for exactly its own path";
    assert!(explained.contains(beaten), "{explained}");
    assert!(explained.ends_with("instances  order.v1.1\n"), "{explained}");
}

#[test]
fn top_shows_one_second_after_the_other_until_it_is_interrupted() {
    let shop = TestPlatform::of(&[TestService::named("order")]);
    let stopped = shop.msctl(&["top"]).expect_code(1);
    assert_eq!(stopped.stderr, "error: the platform is not running\nhint: start it with: msctl up\n");
    shop.up();
    let once = shop.msctl(&["top"]).success();
    assert!(once.stdout.starts_with("SERVICE ") && once.stdout.contains("\norder  "), "{}", once.stdout);
    assert!(once.stdout.lines().all(|line| line.chars().count() <= 80), "{}", once.stdout);
    let top = shop.command(&["top", "--format", "jsonl"]).spawn();
    until(Duration::from_secs(20), "two documents", || (top.stdout().lines().count() >= 2).then_some(()));
    top.signal(Signal::INT);
    let ended = top.finish().success();
    let schema = |line: &str| serde_json::from_str::<Value>(line).unwrap()["schema"].clone();
    assert!(ended.stdout.lines().all(|line| schema(line) == "msctl.top/1"), "{}", ended.stdout);
}

#[test]
fn the_access_log_may_be_elsewhere_or_nowhere() {
    let shop = TestPlatform::of(&[TestService::named("order")]);
    let manifest = shop.root().join("msctl.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let set = |value: &str| {
        let gateway = format!("[gateway]\naccess_log = {value:?}\n");
        fs::write(&manifest, text.replace("[gateway]\n", &gateway)).unwrap();
    };
    set("requests.log");
    shop.up();
    shop.get("/order");
    let own = || fs::read_to_string(shop.root().join("requests.log")).unwrap_or_default();
    until(Duration::from_secs(10), "a line in the user's own file", || {
        own().contains("/order").then_some(())
    });
    shop.msctl(&["down"]).success();
    set("off");
    shop.up();
    shop.get("/order");
    shop.msctl(&["down"]).success();
    assert_eq!(own().lines().count(), 1);
}
