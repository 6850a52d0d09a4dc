//! `msctl logs`.

use std::process::Command;

use crate::harness::platform::{TestPlatform, TestService};

fn talkative(lines: u32) -> TestPlatform {
    let shop = TestPlatform::of(&[TestService::named("order").set("LOG_LINES", &lines.to_string())]);
    shop.up();
    shop
}

#[test]
fn the_last_lines_of_every_service_are_data() {
    let shop = talkative(200);
    let count = |arguments: &[&str]| shop.msctl(arguments).success().stdout.lines().count();
    assert_eq!(count(&["logs"]), 100);
    assert_eq!(count(&["logs", "-n", "5", "order"]), 5);
    assert_eq!(count(&["logs", "-n", "0"]), 0);
    assert_eq!(count(&["logs", "-n", "all"]), 201);
    assert_eq!(count(&["logs", "--since", "1h", "-n", "1000"]), 201);
    assert_eq!(count(&["logs", "--since", "2999-01-01T00:00:00Z"]), 0);
    let last = shop.msctl(&["logs", "-n", "2"]).success();
    assert!(last.stdout.starts_with("order.v1.1 | line 200 \norder.v1.1 | listening on "), "{}", last.stdout);
    assert_eq!(last.stderr, "");
    let wrong = shop.msctl(&["logs", "-n", "some"]).expect_code(2);
    assert!(wrong.stderr.contains("write a number, or \"all\""), "{}", wrong.stderr);
    let wrong = shop.msctl(&["logs", "--since", "yesterday"]).expect_code(2);
    insta::assert_snapshot!(wrong.stderr, @r#"error: --since "yesterday" cannot be used: "yesterday" is no point in time; write how long ago ("10m", "1h 30m") or when ("2026-05-01T12:00:00Z")"#);
}

#[test]
fn lines_are_documents_that_name_their_schema() {
    let shop = talkative(3);
    for form in ["json", "jsonl"] {
        let logs = shop.msctl(&["logs", "--format", form, "-n", "3"]).success();
        let lines: Vec<serde_json::Value> =
            logs.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 3);
        let first = &lines[0];
        assert_eq!(first["schema"], "msctl.log/1");
        assert_eq!((&first["service"], &first["instance"]), (&"order".into(), &"order.v1.1".into()));
        assert_eq!((&first["stream"], &first["text"]), (&"stdout".into(), &"line 2 ".into()));
    }
}

#[test]
fn following_shows_what_comes_later() {
    let shop = talkative(1);
    let logs = shop.command(&["logs", "-f"]).spawn();
    logs.says("order.v1.1 | listening on");
    shop.msctl(&["restart", "order"]).success();
    logs.says("order.v2.1 | listening on");
    assert_eq!(logs.stdout().matches("order.v1.1 | line 1 ").count(), 1);
}

#[test]
fn nothing_that_a_service_prints_reaches_the_terminal_raw() {
    let print = r#"printf '\033[2J\007gone\r\302\233\342\200\256x\n'; exec "$0""#;
    let order = TestService::named("order").and(&format!(
        "[process]\nbuild = 'true'\ncommand = '''sh -c '{}' {}'''",
        print.replace('\'', "'\\''"),
        crate::harness::responder::responder().display()
    ));
    let shop = TestPlatform::of(&[order]);
    shop.up();
    let logs = shop.msctl(&["logs", "-n", "2"]).success();
    assert!(
        logs.stdout.starts_with("order.v1.1 | \\u{1b}[2J\\u{7}gone\\r\\u{9b}\\u{202e}x\n"),
        "{:?}",
        logs.stdout
    );
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let shop = talkative(50_000);
    let msctl = env!("CARGO_BIN_EXE_msctl");
    let script = format!("set -o pipefail; '{msctl}' logs -n 100000 | head -n 1");
    let ran = Command::new("bash")
        .args(["-c", &script])
        .current_dir(shop.root())
        .env("MSCTL_STATE_DIR", shop.home().join("state"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "order.v1.1 | line 1 \n");
    assert_eq!(String::from_utf8_lossy(&ran.stderr), "");
    assert!(ran.status.success(), "{:?}", ran.status);
}
