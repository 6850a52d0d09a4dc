//! `msctl history` and `msctl events`.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::harness::platform::{TestPlatform, TestService};
use crate::harness::wait::until;

fn shop() -> TestPlatform {
    let shop = TestPlatform::of(&[TestService::named("order"), TestService::named("product")]);
    shop.up();
    shop
}

/// Of each deployment of the service, newest first: its version, its cause, what became of it.
fn told(shop: &TestPlatform, service: &str) -> Vec<String> {
    let ran = shop.msctl(&["history", service, "--format", "jsonl"]).success();
    let lines = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines = lines.inspect(|one| assert_eq!(one["schema"], "msctl.deployment/1"));
    let text = |value: &Value| value["kind"].as_str().unwrap().to_owned();
    lines
        .map(|one| format!("v{} {} {}", one["generation"], text(&one["cause"]), text(&one["outcome"])))
        .collect()
}

#[test]
fn every_deployment_is_told_while_the_platform_is_up_and_when_it_is_down() {
    let shop = shop();
    shop.write(&TestService::named("order").set("GREETING", "hello"));
    let plan = shop.msctl(&["up", "--plan"]).success().stdout;
    assert!(plan.contains("order.v2.1  create+start  replaces v1: configuration.GREETING\n"), "{plan}");
    shop.up();
    shop.msctl(&["restart", "order"]).success();
    shop.msctl(&["scale", "order=2"]).success();
    let up = ["v3 restart-asked-for live", "v2 manifest-changed superseded", "v1 first-start superseded"];
    assert_eq!(told(&shop, "order"), up);
    assert_eq!(told(&shop, "product"), ["v1 first-start live"]);
    shop.msctl(&["down"]).success();
    assert_eq!(told(&shop, "order")[0], "v3 restart-asked-for stopped");
    assert_eq!(told(&shop, "order")[1..], up[1..]);

    let latest = shop.msctl(&["history", "-n", "1", "--format", "json"]).success().json();
    assert_eq!((&latest["schema"], &latest["platform"]), (&"msctl.history/1".into(), &"shop".into()));
    let latest = &latest["deployments"][0];
    assert_eq!((&latest["service"], &latest["number"]), (&"order".into(), &3.into()));
    let at = |stage: &str| latest["timings_ms"][stage].as_f64().unwrap();
    assert!(at("started") <= at("ready") && at("ready") <= at("switched"), "{latest}");
    assert!(latest["stopped"].as_str() > latest["began"].as_str(), "{latest}");
}

#[test]
fn the_table_is_newest_first_and_fits_a_terminal() {
    let shop = shop();
    shop.write(&TestService::named("order").set("EXIT_CODE", "3"));
    shop.msctl(&["up", "-d"]).expect_code(5);
    let table = shop.msctl(&["history", "order"]).success();
    assert_eq!(table.stderr, "");
    let lines: Vec<Vec<&str>> = table
        .stdout
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert_eq!(lines[0], ["SERVICE", "VERSION", "WHEN", "CAUSE", "TOOK", "OUTCOME"]);
    // It is tried again and again, which is one deployment.
    assert_eq!(
        (lines.len(), lines[1][0], lines[1][3], lines[1][4]),
        (3, "order", "configuration.EXIT_CODE", "-")
    );
    assert!(lines[1][5].starts_with("failed"), "{}", table.stdout);
    assert_eq!((lines[2][1], lines[2][3], lines[2][5]), ("v1", "first start", "live"));
    assert!(table.stdout.lines().all(|line| line.chars().count() <= 80), "{}", table.stdout);
}

#[test]
fn the_history_goes_on_in_the_process_that_takes_over_and_in_the_next_one_after_a_kill() {
    let shop = shop();
    shop.msctl(&["restart", "--platform-process"]).success();
    shop.msctl(&["restart", "order"]).success();
    assert_eq!(told(&shop, "order"), ["v2 restart-asked-for live", "v1 first-start superseded"]);
    let pid = i32::try_from(shop.ps()["pid"].as_i64().unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    shop.up();
    assert_eq!(told(&shop, "order"), ["v2 restart-asked-for live", "v1 first-start superseded"]);
}

#[test]
fn a_service_that_nobody_knows_and_a_past_that_there_is_not_are_named() {
    let shop = TestPlatform::of(&[TestService::named("order")]);
    let none = shop.msctl(&["history", "order"]).success();
    assert_eq!(
        (none.stdout.as_str(), none.stderr.as_str()),
        ("", "nothing was deployed; start it with: msctl up\n")
    );
    let unknown = shop.msctl(&["history", "ordr"]).expect_code(2);
    assert!(unknown.stderr.contains("did you mean \"order\"?"), "{}", unknown.stderr);
    let events = shop.msctl(&["events"]).expect_code(1);
    assert_eq!(events.stderr, "error: the platform is not running\nhint: start it with: msctl up\n");
}

#[test]
fn a_damaged_history_is_begun_anew_and_a_newer_one_left_alone_while_the_platform_runs_on() {
    let shop = shop();
    let file = shop.state().join("history/deployments.db");
    shop.msctl(&["down"]).success();
    fs::write(&file, "no database ".repeat(1000)).unwrap();
    let warned = shop.msctl(&["history"]).success();
    assert!(warned.stderr.contains("the history was damaged; it was set aside"), "{}", warned.stderr);
    shop.up();
    // It is written down beside what happens.
    until(Duration::from_secs(20), "it is written down", || {
        (told(&shop, "order") == ["v1 first-start live"]).then_some(())
    });
    shop.msctl(&["down"]).success();
    // SQLite keeps `user_version` in the four bytes at 60 (its file format, section 1.3).
    let mut bytes = fs::read(&file).unwrap();
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    fs::write(&file, bytes).unwrap();
    shop.up();
    let refused = shop.msctl(&["history"]).expect_code(1);
    assert!(
        refused.stderr.contains("it was written by a newer msctl (format 99, this one knows 1)"),
        "{}",
        refused.stderr
    );
    assert_eq!(shop.get("/order").body, "nothing at /order");
}

#[test]
fn events_are_told_in_their_order_and_by_service() {
    let shop = shop();
    shop.msctl(&["restart", "order"]).success();
    let ran = shop.msctl(&["events", "--service", "order", "--format", "jsonl"]).success();
    let events: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().all(|event| event["schema"] == "msctl.event/1"));
    assert!(!ran.stdout.contains("product.v1.1"), "{}", ran.stdout);
    let asked = events.iter().position(|event| event["event"] == "asked").unwrap();
    assert_eq!(
        (&events[asked]["change"], &events[asked]["services"]),
        (&"restart".into(), &vec!["order"].into())
    );
    let steps: Vec<&str> = events[asked..]
        .iter()
        .filter(|event| event["event"] == "step-finished")
        .map(|event| event["step"].as_str().unwrap())
        .collect();
    assert_eq!(steps, ["start", "await-ready", "admit", "withdraw", "drain", "watch", "remove"]);
    let text = shop.msctl(&["events"]).success().stdout;
    assert!(text.contains("  order.v2.1        admit         done in "), "{text}");
    assert_eq!(shop.msctl(&["events", "--since", "2999-01-01T00:00:00Z"]).success().stdout, "");
    shop.msctl(&["events", "--service", "nobody"]).expect_code(2);
}

#[test]
fn who_follows_hears_the_process_that_takes_over_and_ends_with_the_platform() {
    let shop = shop();
    let following = shop.command(&["events", "-f"]).spawn();
    following.says("platform          settled in ");
    shop.msctl(&["restart", "--platform-process"]).success();
    following.says("platform          goes on in another process");
    shop.msctl(&["restart", "order"]).success();
    following.says("order.v2.1        admit         done in ");
    shop.msctl(&["down"]).success();
    let ended = following.finish().success();
    assert!(ended.stdout.contains("platform          stopping"), "{}", ended.stdout);
    assert_eq!(ended.stderr, "");
}

#[test]
fn who_follows_a_process_that_is_killed_is_told_so() {
    let shop = shop();
    let following = shop.command(&["events", "-f"]).spawn();
    following.says("platform          settled in ");
    let pid = i32::try_from(shop.ps()["pid"].as_i64().unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let ended = following.finish().expect_code(1);
    assert!(ended.stderr.contains("the platform is not running"), "{}", ended.stderr);
}
