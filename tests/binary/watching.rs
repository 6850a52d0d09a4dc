//! What is saved is deployed: from the save to the answer.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::harness::platform::{TestPlatform, TestService};
use crate::harness::responder::responder;
use crate::harness::wait::until;

const SOON: Duration = Duration::from_secs(20);

/// A service that is what its file `run` says, once its file `check` has passed as its build. Each
/// build leaves a line in the cache, which is none of its sources.
fn edited(name: &str) -> TestService {
    let build = format!("mkdir -p $MSCTL_CACHE && echo {name} >> $MSCTL_CACHE/builds && sh ./check");
    TestService::named(name).and(&format!("[process]\nbuild = {build:?}\ncommand = \"sh ./run\"\n"))
}

fn shop(services: &[TestService]) -> TestPlatform {
    let shop = files_of(services);
    shop.up();
    shop
}

/// The same before it is up.
fn files_of(services: &[TestService]) -> TestPlatform {
    let shop = TestPlatform::of(services).watched();
    for service in services {
        save(&shop, &service.name, "check", "true");
        save(&shop, &service.name, "run", &runs(""));
    }
    shop
}

/// The responder, with faults.
fn runs(faults: &str) -> String {
    format!("{faults} exec {}", responder().display())
}

fn save(shop: &TestPlatform, service: &str, file: &str, text: &str) {
    let path = shop.service_folder(service).join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Below the platform's own folder.
fn save_beside(shop: &TestPlatform, file: &str, text: &str) {
    let path = shop.root().join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Waits until the latest deployment of a service is told of like this at its end.
fn until_told_last(shop: &TestPlatform, service: &str, end: &str) {
    until(SOON, end, || told(shop, service).last().filter(|last| last.ends_with(end)).map(drop));
}

/// A variable of the instance that runs.
fn variable(shop: &TestPlatform, service: &str, name: &str) -> String {
    let print = format!("echo ${name}");
    shop.msctl(&["exec", service, "--", "sh", "-c", &print]).success().stdout.trim_end().to_owned()
}

/// Why the latest version of a service is there.
fn latest_cause(shop: &TestPlatform, service: &str) -> Value {
    shop.msctl(&["history", service, "-n", "1", "--format", "jsonl"]).success().json()["cause"].take()
}

/// Whether an instance answers, rather than the gateway.
fn serves(shop: &TestPlatform, service: &str) -> bool {
    shop.get(&format!("/{service}")).body.starts_with("nothing at")
}

/// Of each deployment of the service, oldest first: its version, its cause, what became of it.
fn told(shop: &TestPlatform, service: &str) -> Vec<String> {
    let ran = shop.msctl(&["history", service, "--format", "jsonl"]).success();
    let lines = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let text = |value: &Value| value["kind"].as_str().unwrap().to_owned();
    let told =
        lines.map(|one| format!("v{} {} {}", one["generation"], text(&one["cause"]), text(&one["outcome"])));
    let mut told: Vec<String> = told.collect();
    told.reverse();
    told
}

#[track_caller]
fn until_told(shop: &TestPlatform, service: &str, expected: &[&str]) {
    let mut last = Vec::new();
    until(SOON, &format!("{expected:?}"), || {
        last = told(shop, service);
        (last == expected).then_some(())
    });
}

/// The event of the platform's past that is sought, once it is there.
#[track_caller]
fn until_event(shop: &TestPlatform, name: &str) -> Value {
    until(SOON, name, || {
        let ran = shop.msctl(&["events", "--format", "jsonl"]).success();
        let mut events = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.find(|event| event["event"] == name)
    })
}

fn builds(shop: &TestPlatform) -> usize {
    let log = shop.root().join(".msctl/cache/builds");
    fs::read_to_string(log).map_or(0, |text| text.lines().count())
}

#[test]
fn a_save_is_served_and_told_with_its_cause_and_its_times() {
    let shop = shop(&[edited("order"), edited("product")]);
    save(&shop, "order", "notes/one.txt", "hello");
    until_told(&shop, "order", &["v1 first-start superseded", "v2 sources-changed live"]);
    assert!(serves(&shop, "order"));
    let latest = shop.msctl(&["history", "order", "-n", "1", "--format", "jsonl"]).success().json();
    let paths: Vec<&str> =
        latest["cause"]["paths"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(paths.iter().all(|path| path.starts_with("notes")), "{latest}");
    let at =
        |stage: &str| latest["timings_ms"][stage].as_f64().unwrap_or_else(|| panic!("{stage}: {latest}"));
    let stages = ["detected", "debounced", "built", "shipped", "started", "ready", "switched"];
    assert!(stages.windows(2).all(|pair| at(pair[0]) <= at(pair[1])), "{latest}");
    assert_eq!(told(&shop, "product"), ["v1 first-start live"], "the other one is left alone");
}

#[test]
fn what_does_not_compile_leaves_the_old_one_serving_until_it_is_mended() {
    let shop = shop(&[edited("order")]);
    save(&shop, "order", "check", "echo 'error: expected ;'; exit 1");
    until_told(&shop, "order", &["v1 first-start live", "v2 sources-changed failed"]);
    assert!(serves(&shop, "order"));
    let problem = shop.ps()["services"][0]["problem"].as_str().unwrap().to_owned();
    assert!(problem.contains("the build command of order ended with"), "{problem}");
    let built = builds(&shop);
    save(&shop, "order", "check", "true # mended");
    until_told(
        &shop,
        "order",
        &["v1 first-start superseded", "v2 sources-changed failed", "v2 sources-changed live"],
    );
    assert_eq!(builds(&shop), built + 1, "what fails is not built again before it is changed");
    assert_eq!(shop.ps()["services"][0]["problem"], Value::Null);
}

#[test]
fn going_back_to_what_runs_deploys_nothing_and_ends_the_trouble() {
    let shop = files_of(&[edited("order")]);
    let attached = shop.command(&["up"]).spawn();
    attached.says("Ctrl-C stops it");
    save(&shop, "order", "check", "exit 1");
    until_told(&shop, "order", &["v1 first-start live", "v2 sources-changed failed"]);
    // The next one is told after all that the failure led to.
    save(&shop, "order", "check", "exit 2");
    attached.says("ended with code 2");
    assert!(!attached.stderr().contains("wanted again"), "{}", attached.stderr());
    save(&shop, "order", "check", "true");
    attached.says("✓ order: what serves is what is wanted again");
    assert_eq!(shop.ps()["services"][0]["problem"], Value::Null);
    let failed = "v2 sources-changed failed";
    assert_eq!(told(&shop, "order"), ["v1 first-start live", failed, failed]);
}

#[test]
fn what_crashes_leaves_the_old_one_serving() {
    let shop = shop(&[edited("order")]);
    save(&shop, "order", "run", &runs("EXIT_CODE=3"));
    until_told(&shop, "order", &["v1 first-start live", "v2 sources-changed failed"]);
    assert!(serves(&shop, "order"));
    save(&shop, "order", "run", &runs("GREETING=again"));
    until(SOON, "the next version", || {
        told(&shop, "order").last().filter(|last| last.ends_with("sources-changed live")).map(drop)
    });
}

#[test]
fn a_touch_that_changes_nothing_deploys_nothing() {
    let shop = shop(&[edited("order"), edited("product")]);
    let before = builds(&shop);
    save(&shop, "order", "check", "true");
    // Once this one is served, the one before it was looked at, too.
    save(&shop, "product", "notes", "hello");
    until_told(&shop, "product", &["v1 first-start superseded", "v2 sources-changed live"]);
    assert_eq!(told(&shop, "order"), ["v1 first-start live"]);
    assert_eq!(builds(&shop), before + 1);
}

#[test]
fn a_build_that_writes_its_own_sources_ends_and_is_named() {
    let shop = shop(&[edited("order"), edited("product")]);
    save(&shop, "order", "check", "date +%s%N > stamp.txt");
    let noticed = until_event(&shop, "noticed");
    assert_eq!(noticed["service"], "order");
    assert!(noticed["message"].as_str().unwrap().contains("stamp.txt"), "{noticed}");
    until_told_last(&shop, "order", "live");
    let built = builds(&shop);
    save(&shop, "order", "notes", "hello");
    until(SOON, "another version", || (builds(&shop) > built).then_some(()));
    until_told_last(&shop, "order", "live");
    // Once another one is served, what this build wrote was looked at, too; on a busy machine more than once.
    save(&shop, "product", "notes", "hello");
    until_told_last(&shop, "product", "v2 sources-changed live");
    assert!(builds(&shop) <= built + 6, "{} builds for two saves", builds(&shop) - built);
}

#[test]
fn a_build_that_writes_its_own_sources_in_its_middle_comes_to_its_end_and_is_named() {
    let shop = shop(&[edited("order")]);
    save(&shop, "order", "check", "date +%s%N > stamp.txt; sleep 0.3");
    let noticed = until_event(&shop, "noticed");
    assert!(noticed["message"].as_str().unwrap().contains("stamp.txt"), "{noticed}");
    until_told_last(&shop, "order", "live");
}

#[test]
fn a_build_that_writes_another_file_each_time_ends_and_is_named() {
    let shop = shop(&[edited("order")]);
    save(&shop, "order", "check", "echo > out-$(date +%s%N).txt");
    let noticed = until_event(&shop, "noticed");
    let message = noticed["message"].as_str().unwrap();
    assert!(message.contains("into its own sources: out-*.txt;"), "{noticed}");
    assert_eq!(noticed["hint"], "list it in .gitignore");
    until_told_last(&shop, "order", "live");
    let built = builds(&shop);
    save(&shop, "order", "notes", "hello");
    until(SOON, "another version", || {
        let ran = shop.msctl(&["history", "order", "--format", "jsonl"]).success();
        ran.stdout.contains("\"notes\"").then_some(())
    });
    until_told_last(&shop, "order", "live");
    assert!(builds(&shop) <= built + 6, "{} builds for one save", builds(&shop) - built);
}

#[test]
fn a_newer_save_ends_the_build_of_the_older_one() {
    let shop = shop(&[edited("order")]);
    save(&shop, "order", "check", "echo begun > $MSCTL_CACHE/begun; sleep 600");
    until(SOON, "the build", || shop.root().join(".msctl/cache/begun").exists().then_some(()));
    save(&shop, "order", "check", "true # better");
    until_told_last(&shop, "order", "sources-changed live");
    let given_up = until_event(&shop, "step-given-up");
    assert_eq!((&given_up["service"], &given_up["step"]), (&"order".into(), &"build".into()));
}

#[test]
fn a_manifest_that_breaks_changes_nothing_until_it_is_mended() {
    let shop = shop(&[edited("order")]);
    shop.write_manifest("[gatway]\n");
    let refused = until_event(&shop, "manifest-refused");
    assert!(refused["message"].as_str().unwrap().contains("gatway"), "{refused}");
    let problem = shop.ps()["problem"].as_str().unwrap().to_owned();
    assert!(problem.contains("msctl.toml:"), "{problem}");
    assert!(serves(&shop, "order"));
    shop.write_manifest("[configuration]\nGREETING = \"hello\"\n");
    until_event(&shop, "manifest-followed");
    until_told(&shop, "order", &["v1 first-start superseded", "v2 manifest-changed live"]);
    assert_eq!(shop.ps()["problem"], Value::Null);
    let latest = shop.msctl(&["history", "order", "-n", "1", "--format", "jsonl"]).success().json();
    assert_eq!(latest["cause"]["fields"], serde_json::json!(["configuration.GREETING"]));
}

#[test]
fn what_is_saved_in_a_shared_folder_redeploys_those_who_share_it() {
    let shop = files_of(&[
        edited("order").shares("../../libs/common"),
        edited("product").shares("../../libs/common"),
        edited("mail"),
    ]);
    save_beside(&shop, "libs/common/src/words", "one");
    shop.up();
    save_beside(&shop, "libs/common/src/words", "two");
    for service in ["order", "product"] {
        until_told(&shop, service, &["v1 first-start superseded", "v2 sources-changed live"]);
        assert_eq!(latest_cause(&shop, service)["paths"], serde_json::json!(["common/src/words"]));
    }
    assert_eq!(told(&shop, "mail"), ["v1 first-start live"], "who does not share it is left alone");
}

#[test]
fn a_saved_file_of_variables_redeploys_those_who_are_given_it() {
    let shop = files_of(&[
        edited("order").run("env_files = [\"../../common.env\", \"dev.env\"]").set("OWN", "manifest"),
        edited("product").run("env_files = [\"../../common.env\"]"),
        edited("mail"),
    ]);
    save_beside(&shop, "common.env", "WORD=common\nLONE=1\n");
    save(&shop, "order", "dev.env", "WORD=one\nOWN=file\n");
    shop.up();
    save(&shop, "order", "dev.env", "WORD=two # better\nOWN=other\n");
    until_told(&shop, "order", &["v1 first-start superseded", "v2 manifest-changed live"]);
    assert_eq!(latest_cause(&shop, "order")["fields"], serde_json::json!(["configuration.WORD"]));
    assert_eq!(variable(&shop, "order", "WORD"), "two");
    assert_eq!(told(&shop, "product"), ["v1 first-start live"], "who is not given it is left alone");

    save_beside(&shop, "common.env", "WORD=better\nLONE=2\n");
    until_told(&shop, "product", &["v1 first-start superseded", "v2 manifest-changed live"]);
    until(SOON, "the other one", || (variable(&shop, "order", "LONE") == "2").then_some(()));
    assert_eq!(told(&shop, "mail"), ["v1 first-start live"]);
    let described = shop.msctl(&["describe", "order", "--format", "json"]).success().json();
    let found = |name: &str| described["configuration"][name].clone();
    assert_eq!(found("WORD"), serde_json::json!({"value": "two", "from": "services/order/dev.env"}));
    assert_eq!(found("LONE"), serde_json::json!({"value": "2", "from": "common.env"}));
    assert_eq!(found("OWN"), serde_json::json!({"value": "manifest", "from": "service.toml"}));
}

#[test]
fn a_file_of_variables_that_breaks_changes_nothing_until_it_is_mended() {
    let shop = files_of(&[edited("order").run("env_files = [\".env\"]")]);
    save(&shop, "order", ".env", "WORD=one\n");
    shop.up();
    fs::remove_file(shop.service_folder("order").join(".env")).unwrap();
    let refused = until_event(&shop, "manifest-refused");
    assert!(refused["message"].as_str().unwrap().contains("there is no file \".env\""), "{refused}");
    assert!(serves(&shop, "order"));
    save(&shop, "order", ".env", "WORD=two\n");
    until_event(&shop, "manifest-followed");
    until_told(&shop, "order", &["v1 first-start superseded", "v2 manifest-changed live"]);
    assert_eq!(variable(&shop, "order", "WORD"), "two");
}

#[test]
fn what_a_manifest_names_before_it_is_there_is_followed_when_it_comes() {
    let shop = shop(&[edited("order")]);
    shop.write(&edited("order").shares("../../libs/common").run("env_files = [\"../../config/dev.env\"]"));
    let refused = until_event(&shop, "manifest-refused");
    assert!(refused["message"].as_str().unwrap().contains("there is no folder"), "{refused}");
    save_beside(&shop, "libs/common/words", "one");
    save_beside(&shop, "config/dev.env", "WORD=one\n");
    until_event(&shop, "manifest-followed");
    until(SOON, "the variable", || {
        (told(&shop, "order").len() > 1 && variable(&shop, "order", "WORD") == "one").then_some(())
    });
}

#[test]
fn services_come_and_go_with_their_folders() {
    let shop = shop(&[edited("order")]);
    save(&shop, "product", "check", "true");
    save(&shop, "product", "run", &runs(""));
    shop.write(&edited("product"));
    until(SOON, "the new service", || serves(&shop, "product").then_some(()));
    fs::rename(shop.service_folder("product"), shop.root().join("elsewhere")).unwrap();
    until(SOON, "its end", || (!serves(&shop, "product")).then_some(()));
    fs::rename(shop.root().join("elsewhere"), shop.service_folder("product")).unwrap();
    until(SOON, "its return", || serves(&shop, "product").then_some(()));
    assert_eq!(told(&shop, "order"), ["v1 first-start live"]);
}

#[test]
fn who_does_not_want_it_is_not_watched() {
    let shop = TestPlatform::of(&[edited("order")]);
    save(&shop, "order", "check", "true");
    save(&shop, "order", "run", &runs(""));
    shop.up();
    save(&shop, "order", "run", &runs("GREETING=hello"));
    shop.msctl(&["restart", "--platform-process"]).success();
    assert_eq!(told(&shop, "order"), ["v1 first-start live"]);
    shop.up();
    assert_eq!(told(&shop, "order"), ["v1 first-start superseded", "v2 changed live"]);
}
