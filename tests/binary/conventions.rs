//! What holds for every verb: data on stdout, talk on stderr, documents with a schema, no colours
//! for programs.

use serde_json::{Value, json};

use crate::harness::platform::{TestPlatform, TestService};

fn shop() -> TestPlatform {
    let shop = TestPlatform::of(&[TestService::named("order")]);
    shop.up();
    shop
}

#[test]
fn documents_parse_and_name_their_schema() {
    let shop = shop();
    let token = shop.msctl(&["token", "issue", "--subject", "me"]).success().stdout;
    let verbs: [(&[&str], &str); 8] = [
        (&["ps"], "msctl.ps/1"),
        (&["describe", "order"], "msctl.describe/1"),
        (&["routes"], "msctl.routes/1"),
        (&["routes", "--explain", "GET", "/order"], "msctl.explain/1"),
        (&["top", "--once"], "msctl.top/1"),
        (&["user", "list"], "msctl.users/1"),
        (&["doctor"], "msctl.doctor/1"),
        (&["token", "inspect", token.trim()], "msctl.token/1"),
    ];
    for (verb, schema) in verbs {
        for form in ["json", "jsonl"] {
            let ran = shop.msctl(&[verb, &["--format", form]].concat()).success();
            assert_eq!(ran.json()["schema"], schema, "{verb:?}");
            assert_eq!(ran.stderr, "", "{verb:?}");
            assert!(form == "json" || ran.stdout.lines().count() == 1, "{}", ran.stdout);
        }
    }
    let add = shop.command(&["user", "add", "ann@example.com", "--name", "Ann", "--format", "json"]);
    let added = add.input("correct horse battery\n").run().success();
    assert_eq!(added.json()["schema"], "msctl.user/1");
}

#[test]
fn the_document_of_ps_has_the_shape_that_scripts_rely_on() {
    let shop = shop();
    let mut ps = shop.ps();
    let url = ps["gateway"]["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    assert!(ps["pid"].is_u64());
    let instance = ps["services"][0]["instances"][0].take();
    for key in ["name", "state", "address", "serving", "handle", "since"] {
        assert!(!instance[key].is_null(), "{key} in {instance}");
    }
    assert_eq!(ps["runtime_reason"].take(), "local processes, as asked");
    ps["pid"].take();
    ps["gateway"]["url"].take();
    let expected = json!({
        "schema": "msctl.ps/1", "platform": "shop", "runtime": "process", "runtime_reason": null, "gateway": {"url": null}, "pid": null, "watching": false,
        "services": [{
            "name": "order", "state": "ready", "generation": 1, "replicas": {"ready": 1, "wanted": 1},
            "failures": 0, "routes": ["/order"], "instances": [null],
        }],
    });
    assert_eq!(ps, expected);
    shop.msctl(&["down"]).success();
    let ps = shop.ps();
    assert_eq!((&ps["gateway"]["url"], &ps["pid"]), (&Value::Null, &Value::Null));
    assert_eq!(ps["services"][0]["state"], "stopped");
}

#[test]
fn tables_are_data_and_what_surrounds_them_is_talk() {
    let shop = shop();
    let ps = shop.msctl(&["ps"]).success();
    insta::assert_snapshot!(shop.plain(&ps.stderr), @"shop at http://127.0.0.1:[PORT] (process, saves are not deployed)");
    insta::assert_snapshot!(shop.msctl(&["routes"]).success().stdout, @r#"
    PATH                 METHODS  ACCESS  SERVICE  READY  REQUESTS  ERRORS  P50  P99
    /order               all      public  order    1      0         0 %     -    -
    /order/health/live   GET      public  order    1      0         0 %     -    -
    /order/health/ready  GET      public  order    1      0         0 %     -    -
    "#);
    let described = shop.msctl(&["describe", "order"]).success();
    let described = shop.plain(&described.stdout);
    let shown =
        described.lines().filter(|line| !line.contains("order.v1.1") && !line.contains("packed from"));
    insta::assert_snapshot!(shown.collect::<Vec<_>>().join("\n"), @r#"
    State
      ready, 1/1 ready
    Address
      http://order.shop.localhost:[PORT]
    Instances
    Build
      in [DIR]/shop/services/order
    Limits
      memory 256MiB, 1 cpus, 256 processes
    Health
      GET /health/ready within 10s
    Routes
      /order  public
    Calls
      -
    Called by
      -
    Configuration
      SERVICE_NAME=order  (msctl)
    "#);
}

#[test]
fn nothing_is_coloured_for_programs_unless_they_ask() {
    let shop = shop();
    let coloured = |command: crate::harness::msctl::Msctl| {
        let ran = command.run();
        ran.stdout.contains('\x1b') || ran.stderr.contains('\x1b')
    };
    for verb in [&["up", "-d"][..], &["ps"], &["describe", "order"], &["logs"], &["describe", "nobody"]] {
        assert!(!coloured(shop.command(verb)), "{verb:?}");
        assert!(!coloured(shop.command(verb).env("NO_COLOR", "1").env("CLICOLOR_FORCE", "1")), "{verb:?}");
    }
    assert!(coloured(shop.command(&["describe", "order", "--color", "always"])));
    assert!(coloured(shop.command(&["describe", "order"]).env("MSCTL_COLOR", "always")));
    assert!(!coloured(shop.command(&["describe", "order", "--color", "never"]).env("MSCTL_COLOR", "always")));
}

#[test]
fn a_token_is_printed_alone_and_inspected_with_an_exit_code() {
    let shop = TestPlatform::of(&[TestService::named("order")]);
    let issued =
        shop.msctl(&["token", "issue", "--subject", "me", "--scope", "a:b", "--ttl", "1h"]).success();
    assert_eq!(issued.stderr, "");
    let token = issued.stdout.strip_suffix('\n').expect("one line");
    assert!(token.split('.').count() == 3 && !token.contains(char::is_whitespace), "{token:?}");
    let inspected = shop.command(&["token", "inspect", "-"]).input(&issued.stdout).run().success().json();
    assert_eq!((&inspected["claims"]["sub"], &inspected["claims"]["scope"]), (&"me".into(), &"a:b".into()));

    let other = TestPlatform::of(&[]);
    let foreign = other.msctl(&["token", "inspect", token]).expect_code(1).json();
    assert_eq!(foreign["valid"], false);
    shop.msctl(&["token", "inspect", "rubbish"]).expect_code(1);
    shop.msctl(&["token", "issue"]).expect_code(2);
    shop.msctl(&["token", "issue", "--subject", "me", "--ttl", "0s"]).expect_code(2);
}

#[test]
fn what_needs_a_running_platform_says_how_to_start_it() {
    let shop = TestPlatform::of(&[TestService::named("order")]);
    for verb in [&["scale", "order=2"][..], &["restart"]] {
        let ran = shop.msctl(verb).expect_code(1);
        assert_eq!(ran.stderr, "error: the platform is not running\nhint: start it with: msctl up\n");
    }
    let ps = shop.msctl(&["ps"]).success();
    assert_eq!(ps.stderr, "shop is not up; start it with: msctl up\n");
    let exec = shop.msctl(&["exec", "order", "--", "true"]).expect_code(1);
    insta::assert_snapshot!(exec.stderr, @r#"
    error: order has no instance that runs
    hint: see why with: msctl describe order
    "#);
}
