//! `msctl rollback` and `msctl redeploy`.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::harness::platform::{TestPlatform, TestService};
use crate::harness::responder::responder;
use crate::harness::wait::until;

/// A service whose program differs with its file `version`, and that is watched.
fn shop() -> TestPlatform {
    let folder = "$MSCTL_CACHE/responder";
    let (copy, artifact) =
        (format!("cat '{}' version > {folder}/new", responder().display()), "$MSCTL_CACHE/responder/order");
    let command =
        format!("mkdir -p {folder} && {copy} && chmod +x {folder}/new && mv {folder}/new {folder}/order");
    let shop = TestPlatform::of(&[TestService::named("order").built_by(&command, artifact)]).watched();
    save(&shop, "1");
    shop.up();
    shop
}

fn save(shop: &TestPlatform, version: &str) {
    fs::write(shop.service_folder("order").join("version"), version).unwrap();
}

/// The deployments, newest first.
fn deployments(shop: &TestPlatform) -> Vec<Value> {
    let ran = shop.msctl(&["history", "order", "--format", "jsonl"]).success();
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Of each deployment, oldest first: its version, its cause, what became of it.
fn told(shop: &TestPlatform) -> Vec<String> {
    let text = |value: &Value| value["kind"].as_str().unwrap().to_owned();
    let told = deployments(shop).into_iter().rev();
    told.map(|one| format!("v{} {} {}", one["generation"], text(&one["cause"]), text(&one["outcome"])))
        .collect()
}

fn program(shop: &TestPlatform, generation: u32) -> Value {
    let all = deployments(shop);
    let of = |one: &&Value| one["generation"] == generation;
    all.iter().find(of).expect("it was deployed")["recipe"]["program"].clone()
}

/// Until it serves, and the one before it is not kept any more in case it stops.
fn until_alone(shop: &TestPlatform, generation: u32) {
    let live = format!("v{generation} sources-changed live");
    until(Duration::from_secs(20), &live, || {
        let instances = shop.instances("order");
        let is_alone = instances.len() == 1 && instances[0].0 == format!("order.v{generation}.1");
        (is_alone && told(shop).contains(&live)).then_some(())
    });
}

#[test]
fn what_served_before_serves_again_until_something_is_saved() {
    let shop = shop();
    save(&shop, "2");
    until_alone(&shop, 2);
    let rolled_back = shop.msctl(&["rollback", "order"]).success();
    assert!(rolled_back.stderr.contains("order runs what v1 ran"), "{}", rolled_back.stderr);
    let expected = ["v1 first-start superseded", "v2 sources-changed rolled-back", "v3 rolled-back live"];
    assert_eq!(told(&shop), expected);
    assert_eq!(program(&shop, 3), program(&shop, 1));
    // Whatever makes it look again, it stays so.
    shop.msctl(&["scale", "order=2"]).success();
    shop.msctl(&["restart", "--platform-process"]).success();
    shop.msctl(&["scale", "order=1"]).success();
    assert_eq!(told(&shop), expected);
    save(&shop, "3");
    until_alone(&shop, 4);
    assert!(![program(&shop, 1), program(&shop, 2)].contains(&program(&shop, 4)));
}

#[test]
fn one_may_name_the_version_and_go_forth_again() {
    let shop = shop();
    for version in 2..=3 {
        save(&shop, &version.to_string());
        until_alone(&shop, version);
    }
    shop.msctl(&["rollback", "order", "--to", "v1"]).success();
    assert_eq!(program(&shop, 4), program(&shop, 1));
    shop.msctl(&["redeploy", "order"]).success();
    assert_eq!(program(&shop, 5), program(&shop, 3));
    shop.msctl(&["rollback", "order", "--to", "2"]).success();
    assert_eq!(program(&shop, 6), program(&shop, 2));
    shop.up();
    assert_eq!(program(&shop, 7), program(&shop, 3), "up goes by the sources");
}

#[test]
fn where_there_is_nothing_to_go_back_to_that_is_said() {
    let shop = shop();
    let refused = shop.msctl(&["rollback", "order"]).expect_code(2);
    insta::assert_snapshot!(refused.stderr, @r"
    error: order has nothing to go back to: no earlier version of it ever served
    hint: see what there was with: msctl history order
    ");
    let refused = shop.msctl(&["rollback", "order", "--to", "9"]).expect_code(2);
    insta::assert_snapshot!(refused.stderr, @r"
    error: there is no v9 of order to go back to
    hint: these have served: v1
    ");
    shop.msctl(&["rollback", "ordr"]).expect_code(2);
    shop.msctl(&["down"]).success();
    shop.msctl(&["rollback", "order"]).expect_code(1);
}

#[test]
fn what_is_not_kept_any_more_is_refused_and_saves_are_deployed_as_before() {
    let shop = shop();
    for version in 2..=3 {
        save(&shop, &version.to_string());
        until_alone(&shop, version);
    }
    let artifact = program(&shop, 1)["argv"][0].as_str().unwrap().to_owned();
    fs::remove_file(artifact).unwrap();
    let refused = shop.msctl(&["rollback", "order", "--to", "1"]).expect_code(2);
    insta::assert_snapshot!(refused.stderr, @r"
    error: what order v1 ran is not kept any more
    hint: one can go back to: v2
    ");
    save(&shop, "4");
    until_alone(&shop, 4);
}
