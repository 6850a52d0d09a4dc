//! `msctl du`: what builds have left.

use std::fs;

use crate::harness::platform::{TestPlatform, TestService};
use crate::harness::responder::responder;

/// The responder with something more at its end, which makes it another program.
fn version(number: u32) -> TestService {
    let folder = "$MSCTL_CACHE/responder";
    let command = format!(
        "mkdir -p {folder} && cp '{}' {folder}/order && printf {number} >> {folder}/order",
        responder().display()
    );
    TestService::named("order").built_by(&command, &format!("{folder}/order"))
}

fn shop(versions: u32) -> TestPlatform {
    let shop = TestPlatform::of(&[version(1)]);
    for number in 1..=versions {
        shop.write(&version(number));
        shop.up();
    }
    shop
}

/// Of each artifact, the oldest first: the generations that it was, and whether it runs.
fn kept(shop: &TestPlatform) -> Vec<(String, bool)> {
    let usage = shop.msctl(&["du", "--format", "json"]).success().json();
    assert_eq!((&usage["schema"], &usage["platform"]), (&"msctl.du/1".into(), &"shop".into()));
    let kept = usage["kept"].as_array().unwrap().iter();
    kept.map(|one| {
        assert_eq!((&one["service"], &one["what"]), (&"order".into(), &"artifact".into()));
        assert!(one["bytes"].as_u64() > Some(0) && one["made"].is_string(), "{one}");
        (one["generations"].to_string(), one["in_use"] == true)
    })
    .collect()
}

#[test]
fn artifacts_are_told_whether_the_platform_is_up_or_down_and_collected_when_asked() {
    let shop = shop(2);
    let used: Vec<bool> = kept(&shop).iter().map(|(_, used)| *used).collect();
    assert_eq!(used, [false, true]);
    assert_eq!(kept(&shop)[1].0, "[2]");
    let text = shop.msctl(&["du"]).success();
    assert_eq!(text.stdout.lines().count(), 3, "{}", text.stdout);
    assert!(text.stdout.starts_with("SERVICE  WHAT      VERSION  SIZE"), "{}", text.stdout);
    assert!(text.stderr.contains(" in all, ") && text.stderr.contains(" of it in use"), "{}", text.stderr);
    let nothing = shop.msctl(&["du", "--collect"]).success();
    assert!(nothing.stderr.starts_with("nothing is beyond the budget\n"), "{}", nothing.stderr);
    shop.write_manifest("[images]\nkeep = 1\n");
    let collected = shop.msctl(&["du", "--collect", "--format", "json"]).success().json();
    assert_eq!(collected["collected"].as_array().unwrap().len(), 1, "{collected}");
    assert_eq!(collected["kept"].as_array().unwrap().len(), 1, "{collected}");
    assert_eq!(shop.get("/order").body, "nothing at /order");
    shop.msctl(&["down"]).success();
    assert_eq!(kept(&shop).len(), 1);
    assert!(!kept(&shop)[0].1, "nothing runs any more");
}

#[test]
fn a_running_platform_collects_by_itself_what_a_smaller_budget_leaves_over() {
    let shop = shop(2);
    shop.write_manifest("[images]\nkeep = 1\n");
    shop.up();
    let limit = std::time::Duration::from_secs(20);
    crate::harness::wait::until(limit, "one artifact is left", || {
        let kept = kept(&shop);
        (kept.len() == 1 && kept[0].1).then_some(())
    });
}

#[test]
fn a_manifest_that_is_invalid_is_no_obstacle_to_looking_but_says_no_budget() {
    let shop = shop(1);
    shop.write_manifest("[images]\nkeep = 0\n");
    assert_eq!(kept(&shop).len(), 1);
    let refused = shop.msctl(&["du", "--collect"]).expect_code(2);
    assert!(refused.stderr.contains("keep in [images] is 0"), "{}", refused.stderr);
    assert_eq!(kept(&shop).len(), 1);
}

#[test]
fn where_the_engine_is_away_artifacts_are_told_and_images_are_not() {
    let shop = shop(1);
    shop.msctl(&["down"]).success();
    fs::write(shop.state().join("runtime"), "docker\n").unwrap();
    let away = |arguments: &[&str]| shop.command(arguments).env("DOCKER_HOST", "unix:///nowhere.sock").run();
    let told = away(&["du"]).success();
    assert!(told.stdout.contains("order    artifact"), "{}", told.stdout);
    assert!(told.stderr.contains("images are not among these: "), "{}", told.stderr);
    away(&["du", "--collect"]).expect_code(3);
    fs::remove_file(shop.state().join("runtime")).unwrap();
}
