//! A platform from `up` to `down`, verb by verb.

use std::collections::BTreeSet;
use std::fs;

use crate::harness::platform::{TestPlatform, TestService};

use super::processes::{none_is_left, processes};

fn pair() -> [TestService; 2] {
    [TestService::named("order").calls("product"), TestService::named("product")]
}

/// Which instances there are, by name.
fn names(shop: &TestPlatform, service: &str) -> Vec<String> {
    let mut names: Vec<String> = shop.instances(service).into_iter().map(|(name, _)| name).collect();
    names.sort();
    names
}

#[test]
fn a_platform_comes_up_serves_and_goes_down_without_a_trace() {
    let shop = TestPlatform::of(&pair());
    let up = shop.up();
    assert_eq!(up.stdout, "");
    let shown = shop.plain(&up.stderr);
    let lines: BTreeSet<&str> = shown.lines().collect();
    insta::assert_snapshot!(lines.into_iter().collect::<Vec<_>>().join("\n"), @r#"
        order: building
        order: built ([TIME])
        product: building
        product: built ([TIME])
      local processes, as asked; saves are not deployed
      ✓ order.v1.1 ready ([TIME])
      ✓ product.v1.1 ready ([TIME])
    2 ready in [TIME]; it goes on running; msctl ps shows it, msctl down stops it
    shop at http://127.0.0.1:[PORT]
    "#);
    assert_eq!(shop.get("/order").body, "nothing at /order");
    let order = shop.msctl(&["exec", "order", "--", "sh", "-c", "echo $PRODUCT_URL"]).success();
    let through = crate::harness::http::get(&format!("{}/", order.stdout.trim()));
    assert!(through.body.starts_with("ok product 1"), "{through:?}");

    let down = shop.msctl(&["down"]).success();
    assert_eq!(down.stdout, "");
    let shown = shop.plain(&down.stderr);
    let mut lines: Vec<&str> = shown.lines().collect();
    lines.sort_unstable();
    insta::assert_snapshot!(lines.join("\n"), @r#"
        order.v1.1 removed ([TIME])
        product.v1.1 removed ([TIME])
        stopping
    removed 2 instances; nothing of it is left
    "#);
    none_is_left(&shop);
    let again = shop.msctl(&["down"]).success();
    insta::assert_snapshot!(again.stderr, @"nothing was running; nothing of it is left");
}

#[test]
fn a_second_up_does_nothing() {
    let shop = TestPlatform::of(&pair());
    shop.up();
    let before = (shop.instances("order"), shop.instances("product"));
    let plan = shop.msctl(&["up", "--plan"]).success();
    assert_eq!(
        (plan.stdout.as_str(), plan.stderr.as_str()),
        ("", "nothing to do: everything runs as the manifest says\n")
    );
    for arguments in [&["up", "-d"][..], &["up"]] {
        let up = shop.msctl(arguments).success();
        insta::allow_duplicates! {
            insta::assert_snapshot!(shop.plain(&up.stderr), @r#"
            shop at http://127.0.0.1:[PORT]
              local processes, as asked; saves are not deployed
            2 ready in [TIME]; it was running already; msctl events -f follows it
            "#);
        }
    }
    assert_eq!((shop.instances("order"), shop.instances("product")), before);
}

#[test]
fn a_plan_is_data_and_nothing_is_done() {
    let shop = TestPlatform::of(&pair());
    let plan = shop.msctl(&["up", "--plan"]).success();
    insta::assert_snapshot!(plan.stdout, @r#"
    []    #1 product       build         no build of these sources yet
    [1]   #2 product.v1.1  create+start  nothing of it runs
    [2]   #3 product.v1.1  await-ready   started
    [3]   #4 product.v1.1  admit         ready
    []    #5 order         build         no build of these sources yet
    [4,5] #6 order.v1.1    create+start  nothing of it runs
    [6]   #7 order.v1.1    await-ready   started
    [7]   #8 order.v1.1    admit         ready
    "#);
    assert_eq!(plan.stderr, "");
    assert!(!shop.root().join(".msctl").exists(), "something was built");
    assert_eq!(processes(&shop), [""; 0]);
    let same = shop.msctl(&["up", "--plan"]).success();
    assert_eq!(same.stdout, plan.stdout);
}

#[test]
fn up_with_a_name_starts_it_and_those_it_calls() {
    let [order, product] = pair();
    let shop = TestPlatform::of(&[order, product, TestService::named("cart")]);
    shop.msctl(&["up", "-d", "order"]).success();
    assert_eq!((names(&shop, "order").len(), names(&shop, "product").len()), (1, 1));
    assert_eq!(names(&shop, "cart"), [""; 0]);
    let unknown = shop.msctl(&["up", "-d", "ordr"]).expect_code(2);
    insta::assert_snapshot!(unknown.stderr, @r#"
    error: no service "ordr" is in this platform
    hint: did you mean "order"?
    "#);
}

#[test]
fn scaling_adds_and_removes_and_keeps_the_rest() {
    let shop = TestPlatform::of(&[TestService::named("order")]);
    shop.up();
    let first = shop.instances("order");
    let scaled = shop.msctl(&["scale", "order=3"]).success();
    assert_eq!(scaled.stdout, "");
    assert_eq!(names(&shop, "order"), ["order.v1.1", "order.v1.2", "order.v1.3"]);
    assert!(shop.instances("order").contains(&first[0]), "the first one was replaced");
    shop.msctl(&["scale", "order=1"]).success();
    assert_eq!(shop.instances("order"), first);
    for (wrong, rule) in [("order=65", "0 to 64"), ("order", "SERVICE=COUNT"), ("nobody=1", "it has: order")]
    {
        let ran = shop.msctl(&["scale", wrong]).expect_code(2);
        assert!(ran.stderr.contains(rule), "{}", ran.stderr);
    }
}

#[test]
fn restarting_replaces_every_instance() {
    let shop = TestPlatform::of(&pair());
    shop.up();
    let untouched = shop.instances("product");
    shop.msctl(&["restart", "order"]).success();
    assert_eq!(names(&shop, "order"), ["order.v2.1"]);
    assert_eq!(shop.instances("product"), untouched);
    shop.msctl(&["restart"]).success();
    assert_eq!(
        (names(&shop, "order"), names(&shop, "product")),
        (vec!["order.v3.1".to_owned()], vec!["product.v2.1".to_owned()])
    );
}

#[test]
fn a_changed_service_is_replaced_by_the_next_up_and_others_are_not() {
    let shop = TestPlatform::of(&pair());
    shop.up();
    let untouched = shop.instances("product");
    shop.write(&TestService::named("order").calls("product").set("GREETING", "hello"));
    let plan = shop.msctl(&["up", "--plan"]).success();
    insta::assert_snapshot!(plan.stdout, @r#"
    []    #1 order.v2.1  create+start  replaces v1: configuration.GREETING
    [1]   #2 order.v2.1  await-ready   started
    [2]   #3 order.v2.1  admit         ready
    [3]   #4 order.v1.1  withdraw      replaced by v2
    [4]   #5 order.v1.1  drain ≤10s    requests in flight
    [3]   #6 order.v2.1  watch ≤2s     back to v1 if it stops
    [5,6] #7 order.v1.1  stop+remove   drained
    "#);
    shop.up();
    assert_eq!(names(&shop, "order"), ["order.v2.1"]);
    assert_eq!(shop.instances("product"), untouched);
    assert_eq!(
        shop.msctl(&["exec", "order", "--", "sh", "-c", "echo $GREETING"]).success().stdout,
        "hello\n"
    );
}

#[test]
fn a_bad_version_leaves_the_good_one_serving() {
    let shop = TestPlatform::of(&pair());
    shop.up();
    let before = shop.instances("order");
    shop.write(&TestService::named("order").calls("product").set("EXIT_CODE", "3"));
    let up = shop.msctl(&["up", "-d"]).expect_code(5);
    assert!(up.stderr.contains("order.v2.1 exited with code 3 before it was ready"), "{}", up.stderr);
    assert_eq!(shop.instances("order"), before);
    assert_eq!(shop.get("/order").body, "nothing at /order");
}

#[test]
fn exec_passes_arguments_input_and_the_exit_code_on() {
    let shop = TestPlatform::of(&[TestService::named("order")]);
    shop.up();
    let exec = |arguments: &[&str]| shop.command(&[&["exec", "order", "--"], arguments].concat());
    let ran = exec(&["sh", "-c", "cat; echo err >&2; exit 7"]).input("in\n").run().expect_code(7);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("in\n", "err\n"));
    exec(&["printf", "%s|", "a b", "$HOME", "--help"]).run().success();
    let missing = exec(&["/no/such/program"]).run();
    assert_ne!(missing.code, 0);
    assert!(missing.stderr.contains("/no/such/program"), "{}", missing.stderr);
    let unknown = shop.msctl(&["exec", "ordr", "--", "true"]).expect_code(2);
    assert_eq!(
        unknown.stderr,
        "error: no service \"ordr\" is in this platform\nhint: did you mean \"order\"?\n"
    );
}

#[test]
fn deleting_data_is_never_done_without_being_told_to() {
    let shop = TestPlatform::of(&[TestService::named("order").and("[database]\nengine = \"sqlite\"")]);
    shop.up();
    shop.msctl(&["exec", "order", "--", "sh", "-c", "echo kept > ${DATABASE_URL#sqlite://}"]).success();
    let before = shop.instances("order");
    let refused = shop.msctl(&["down", "--volumes"]).expect_code(2);
    insta::assert_snapshot!(refused.stderr, @"error: this would delete data for good; say so with --yes");
    assert_eq!(shop.instances("order"), before);
    let data = shop.state().join("process/data/order/order.db");
    shop.msctl(&["down"]).success();
    assert_eq!(fs::read_to_string(&data).unwrap(), "kept\n");
    shop.msctl(&["down", "--volumes", "--yes"]).success();
    assert!(!data.exists());
}

#[test]
fn a_platform_that_runs_by_an_earlier_name_is_found_and_not_started_beside() {
    let shop = TestPlatform::of(&[TestService::named("order")]);
    shop.up();
    let before = shop.instances("order");
    let manifest = shop.root().join("msctl.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("\"shop\"", "\"store\"")).unwrap();
    for verb in [&["ps"][..], &["describe", "order"], &["up", "-d"], &["up", "--plan"]] {
        let refused = shop.msctl(verb).expect_code(6);
        assert_eq!(
            refused.stderr,
            "error: the platform of this folder runs still, by its earlier name shop\n\
             hint: stop it first with: msctl down\n",
            "{verb:?}"
        );
    }
    let removed = shop.msctl(&["down"]).success();
    assert!(removed.stderr.contains("removed 1 instance"), "{}", removed.stderr);
    assert_eq!(before.len(), 1);
    none_is_left(&shop);
    shop.up();
    assert_eq!(shop.ps()["platform"], "store");
}

#[test]
fn twenty_services_at_once_have_a_port_each() {
    let names: Vec<String> = (1..=20).map(|number| format!("service-{number}")).collect();
    let services: Vec<TestService> = names.iter().map(|name| TestService::named(name)).collect();
    let shop = TestPlatform::of(&services);
    shop.up();
    let status = shop.ps();
    let services = status["services"].as_array().unwrap();
    let addresses: std::collections::BTreeSet<&str> =
        services.iter().map(|service| service["instances"][0]["address"].as_str().unwrap()).collect();
    assert_eq!(addresses.len(), 20, "{status}");
    for name in &names {
        assert_eq!(shop.get(&format!("/{name}")).body, format!("nothing at /{name}"));
    }
}
