//! Services that cannot be built or do not start: what is said, the exit code, and what is left.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use crate::harness::platform::{TestPlatform, TestService};
use crate::harness::wait::until;

use super::processes::none_is_left;

#[test]
fn a_failing_build_shows_what_the_compiler_said_and_where_all_of_it_is() {
    let complaint = "seq 1 100; echo 'error[E0308]: mismatched types' >&2; exit 101";
    let shop = TestPlatform::of(&[TestService::named("order").built_by(complaint, "out/order")]);
    let up = shop.msctl(&["up", "-d"]).expect_code(5);
    assert_eq!(up.stdout, "");
    let shown = shop.plain(&up.stderr);
    let (head, tail) = shown.split_once("        62\n").expect("the last forty lines");
    insta::assert_snapshot!(head, @r#"
    shop at http://127.0.0.1:[PORT]
      local processes, as asked; saves are not deployed
        order: building
      ✗ order: the build command of order ended with code 101: seq 1 100; echo 'error[E0308]: mismatched types' >&2; exit 101
    "#);
    insta::assert_snapshot!(tail.split_once("        100\n").expect("to the last").1, @r#"
            error[E0308]: mismatched types
            whole output: [DIR]/shop/.msctl/logs/build-order.log
    0 ready, 1 failed in [TIME]; it goes on running; msctl ps shows it, msctl down stops it
    "#);
    let log = shop.root().join(".msctl/logs/build-order.log");
    assert_eq!(fs::read_to_string(log).unwrap().lines().count(), 101);
    insta::assert_snapshot!(shop.msctl(&["ps"]).success().stdout, @r#"
    SERVICE  STATE   READY  VERSION  AGE  ROUTES
    order    failed  0/1    -        -    /order
    "#);
}

#[test]
fn a_service_that_exits_at_once_is_shown_with_its_last_words_and_its_code() {
    let order = TestService::named("order").set("EXIT_CODE", "7").set("LOG_LINES", "3");
    let shop = TestPlatform::of(&[order]);
    let up = shop.msctl(&["up", "-d"]).expect_code(5);
    insta::assert_snapshot!(shop.plain(&up.stderr), @r#"
    shop at http://127.0.0.1:[PORT]
      local processes, as asked; saves are not deployed
        order: building
        order: built ([TIME])
      ✗ order: order.v1.1 exited with code 7 before it was ready
            line 1 
            line 2 
            line 3 
            whole output: [DIR]/state/shop-[ID]/failures/order.v1.1.log
    0 ready, 1 failed in [TIME]; it goes on running; msctl ps shows it, msctl down stops it
    "#);
    let log = fs::read_to_string(shop.state().join("failures/order.v1.1.log")).unwrap();
    assert_eq!(log, "line 1 \nline 2 \nline 3 \n");
    assert_eq!(shop.instances("order"), []);
    shop.msctl(&["down"]).success();
    assert!(shop.state().join("failures/order.v1.1.log").exists());
    shop.msctl(&["down", "--volumes", "--yes"]).success();
    assert!(!shop.state().join("failures").exists());
}

#[test]
fn what_a_service_printed_before_it_died_while_it_served_is_shown_and_kept() {
    let order = TestService::named("order").set("LOG_LINES", "3");
    let order = order.set("EXIT_CODE", "7").set("EXIT_AFTER_MS", "500");
    let shop = TestPlatform::of(&[order]);
    let up = shop.command(&["up"]).spawn();
    up.says("order.v1.1 exited with code 7; again in 1.0 s");
    up.says("    line 3");
    up.says("/failures/order.v1.1.log");
    // It may be written anew just now: it dies again.
    until(Duration::from_secs(10), "the whole output", || {
        let log = fs::read_to_string(shop.state().join("failures/order.v1.1.log")).unwrap();
        log.contains("line 3 \n").then_some(())
    });
    assert_eq!(shop.ps()["services"][0]["problem"], "order.v1.1 exited with code 7");
    assert!(shop.ps()["services"][0]["log"].as_str().unwrap().ends_with("/failures/order.v1.1.log"));
}

#[test]
fn a_service_that_says_nothing_before_it_exits_is_not_said_to_have() {
    let shop = TestPlatform::of(&[TestService::named("order").set("EXIT_CODE", "0")]);
    let up = shop.msctl(&["up", "-d"]).expect_code(5);
    insta::assert_snapshot!(shop.plain(&up.stderr), @r#"
    shop at http://127.0.0.1:[PORT]
      local processes, as asked; saves are not deployed
        order: building
        order: built ([TIME])
      ✗ order: order.v1.1 exited with code 0 before it was ready, and printed nothing
    0 ready, 1 failed in [TIME]; it goes on running; msctl ps shows it, msctl down stops it
    "#);
}

#[test]
fn a_service_that_never_gets_ready_is_a_timeout() {
    let order = TestService::named("order").set("READY_AFTER_MS", "600000").start_period("1s");
    let shop = TestPlatform::of(&[order]);
    let up = shop.msctl(&["up", "-d"]).expect_code(4);
    let shown = shop.plain(&up.stderr);
    let shown: Vec<&str> = shown.lines().filter(|line| !line.contains("listening on")).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    shop at http://127.0.0.1:[PORT]
      local processes, as asked; saves are not deployed
        order: building
        order: built ([TIME])
      ✗ order: order.v1.1 is not ready within 1s: GET /health/ready answers 503 Service Unavailable
            whole output: [DIR]/state/shop-[ID]/failures/order.v1.1.log
            hint: a slow start needs a longer health.start_period in service.toml
    0 ready, 1 failed in [TIME]; it goes on running; msctl ps shows it, msctl down stops it
    "#);
    assert_eq!(shop.instances("order"), []);
}

#[test]
fn a_service_has_all_of_its_start_period() {
    let order = TestService::named("order").set("READY_AFTER_MS", "1700").start_period("2s");
    TestPlatform::of(&[order]).up();
}

#[test]
fn the_caller_of_a_service_that_fails_is_named_as_not_started() {
    let product = TestService::named("product").set("EXIT_CODE", "1");
    let shop = TestPlatform::of(&[TestService::named("order").calls("product"), product]);
    let up = shop.msctl(&["up", "-d"]).expect_code(5);
    let shown = shop.plain(&up.stderr);
    assert!(shown.contains("  ✗ order: not started, because it calls product, which failed\n"), "{shown}");
    assert!(shown.contains("        hint: mend product first\n"), "{shown}");
    let ps = shop.msctl(&["ps"]).success();
    insta::assert_snapshot!(ps.stdout, @r#"
    SERVICE  STATE   READY  VERSION  AGE  ROUTES
    order    failed  0/1    -        -    /order
    product  failed  0/1    -        -    /product
    "#);
    insta::assert_snapshot!(shop.plain(&ps.stderr), @r#"
    shop at http://127.0.0.1:[PORT] (process, saves are not deployed)
    order: not started, because it calls product, which failed
    product: product.v1.1 exited with code 1 before it was ready, and printed nothing
    "#);
}

#[test]
fn a_port_that_is_taken_is_said_to_be_with_whose_it_is_and_nothing_is_started() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let shop = TestPlatform::of(&[TestService::named("order")]);
    let manifest = fs::read_to_string(shop.root().join("msctl.toml")).unwrap();
    fs::write(shop.root().join("msctl.toml"), manifest.replace("127.0.0.1:0", &address.to_string())).unwrap();
    for arguments in [&["up"][..], &["up", "-d"]] {
        let up = shop.msctl(arguments).expect_code(6);
        let shown = shop.plain(&up.stderr);
        assert!(shown.starts_with("error: the gateway cannot listen on 127.0.0.1:[PORT]: "), "{shown}");
        assert!(up.stderr.contains(&format!("process {}", std::process::id())), "{}", up.stderr);
        assert!(
            shown.ends_with(
                "\nhint: stop that process, or set another address under [gateway] listen in msctl.toml\n"
            ),
            "{shown}"
        );
        none_is_left(&shop);
    }
    assert!(!shop.root().join(".msctl").exists(), "something was built");
}

#[test]
fn a_command_is_judged_by_the_services_that_it_names() {
    let order = TestService::named("order").set("EXIT_CODE", "7");
    let shop = TestPlatform::of(&[order, TestService::named("product")]);
    shop.msctl(&["up", "-d"]).expect_code(5);
    let restarted = shop.msctl(&["restart", "product"]).success();
    assert!(restarted.stderr.ends_with("done\n"), "{}", restarted.stderr);
    shop.msctl(&["scale", "product=2"]).success();
    let up = shop.msctl(&["up", "-d", "product"]).success();
    let summary = "1 ready in [TIME]; it was running already; msctl events -f follows it\n";
    assert!(shop.plain(&up.stderr).ends_with(summary), "{}", up.stderr);
    shop.msctl(&["restart", "order"]).expect_code(5);
    let all = shop.msctl(&["up", "-d"]).expect_code(5);
    let summary = "1 ready, 1 failed in [TIME]; it was running already; msctl events -f follows it\n";
    assert!(shop.plain(&all.stderr).ends_with(summary), "{}", all.stderr);
}
