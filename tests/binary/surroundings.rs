//! No platform, a broken one, no engine, no home: what msctl says about where it is.

use std::fs;
use std::path::Path;

use crate::harness::msctl::Msctl;
use crate::harness::platform::{TestPlatform, TestService};

/// Every verb that needs a platform.
const VERBS: [&[&str]; 18] = [
    &["up"],
    &["up", "-d"],
    &["up", "--plan"],
    &["down"],
    &["down", "--plan"],
    &["ps"],
    &["describe", "order"],
    &["routes"],
    &["routes", "--explain", "GET", "/"],
    &["top"],
    &["logs"],
    &["scale", "order=2"],
    &["restart"],
    &["exec", "order", "--", "true"],
    &["token", "issue", "--subject", "me"],
    &["token", "inspect", "x"],
    &["user", "list"],
    &["new", "service", "order", "--template", "rust-axum"],
];

/// Verbs for which it is enough to know which platform is meant.
const MANAGES_WITHOUT: [&str; 4] = ["down", "logs", "exec", "top"];

fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    entries.map(|name| name.to_string_lossy().into_owned()).collect()
}

#[test]
fn outside_of_a_platform_every_verb_says_so_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for verb in VERBS {
        let ran = Msctl::new(folder.path(), verb).within(folder.path()).run().expect_code(1);
        assert_eq!(ran.stdout, "", "{verb:?}");
        let expected = format!(
            "error: failed to find a platform: there is no msctl.toml in {} or any folder above it\n\
             hint: create one with `msctl new platform <name>`, or go into a platform's folder\n",
            folder.path().display()
        );
        assert_eq!(ran.stderr, expected, "{verb:?}");
    }
    assert_eq!(entries(folder.path()), [""; 0]);
}

#[test]
fn a_broken_manifest_is_shown_with_its_place_by_every_verb_that_needs_a_valid_one() {
    let shop = TestPlatform::of(&[TestService::named("order")]);
    let file = shop.service_folder("order").join("service.toml");
    let text = fs::read_to_string(&file).unwrap().replace("[run]\n", "[run]\nreplicsa = 2\n");
    fs::write(&file, text).unwrap();
    for verb in VERBS.into_iter().filter(|verb| !MANAGES_WITHOUT.contains(&verb[0])) {
        let ran = shop.msctl(verb).expect_code(2);
        assert_eq!(ran.stdout, "", "{verb:?}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(shop.plain(&ran.stderr), @r#"
            error: the manifest is not valid

            services/order/service.toml:8:1: unknown key "replicsa" in [run]
              8 | replicsa = 2
                | ^^^^^^^^
            hint: did you mean "replicas"?
            "#);
        }
    }
}

#[test]
fn a_broken_manifest_keeps_nobody_from_looking_and_stopping() {
    let shop = TestPlatform::of(&[TestService::named("order")]);
    shop.up();
    let file = shop.root().join("msctl.toml");
    let text = fs::read_to_string(&file).unwrap();
    for broken in [text.replace("[gateway]", "[gateway]\nlistne = 1"), format!("{text}[[[")] {
        fs::write(&file, &broken).unwrap();
        if broken.contains("listne") {
            assert_eq!(shop.ps()["services"][0]["state"], "ready");
            shop.msctl(&["logs", "-n", "1"]).success();
            shop.msctl(&["exec", "order", "--", "true"]).success();
        }
    }
    let down = shop.msctl(&["down"]).success();
    assert!(down.stderr.contains("removed 1 instance; nothing of it is left"), "{}", down.stderr);
    fs::write(&file, text).unwrap();
}

#[test]
fn what_runs_under_a_name_that_the_platform_had_is_taken_down() {
    let shop = TestPlatform::of(&[TestService::named("order")]);
    shop.up();
    let url = shop.url();
    let file = shop.root().join("msctl.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("name = \"shop\"", "name = \"store\"")).unwrap();
    let down = shop.msctl(&["down"]).success();
    assert!(down.stderr.contains("removed 1 instance; nothing of it is left"), "{}", down.stderr);
    assert!(std::net::TcpStream::connect(url.trim_start_matches("http://")).is_err());
}

#[test]
fn a_platform_that_runs_on_one_runtime_is_not_taken_for_one_on_another() {
    let shop = TestPlatform::of(&[TestService::named("order")]);
    shop.up();
    let other = shop.msctl(&["up", "-d", "--runtime", "docker"]).expect_code(6);
    insta::assert_snapshot!(other.stderr, @r"
    error: the platform runs already, on the process runtime
    hint: stop it first with: msctl down
    ");
}

#[test]
fn an_engine_that_does_not_answer_is_named_with_the_way_out() {
    let shop = TestPlatform::of(&[TestService::named("order")]);
    for more in [&["up", "--runtime", "docker"][..], &["up", "-d", "--runtime", "docker"], &["up", "-d"]] {
        let up = shop.command(more).env("DOCKER_HOST", "unix:///nonexistent").without("MSCTL_RUNTIME").run();
        let up = up.expect_code(3);
        insta::allow_duplicates! {
            insta::assert_snapshot!(up.stderr, @r#"
            error: the container engine at unix:///nonexistent does not answer: no such file
            hint: start the engine, or run without one: msctl up --runtime process
            "#);
        }
    }
    assert!(!shop.root().join(".msctl").exists(), "something was built");
}

#[test]
fn without_home_the_user_database_knows_it() {
    let folder = tempfile::tempdir().unwrap();
    let command = Msctl::new(folder.path(), &["doctor", "--format", "json"]).within(folder.path());
    let ran = command.without("HOME").without("MSCTL_STATE_DIR").run();
    let finding = ran.json()["findings"][0].clone();
    assert_eq!(finding["subject"], "state folder");
    let path = finding["detail"].as_str().unwrap();
    assert!(path.starts_with('/') && path.ends_with("/.local/state/msctl"), "{path}");
}

#[test]
fn a_home_that_is_no_path_is_not_used() {
    let shop = TestPlatform::of(&[TestService::named("order")]);
    let ran = shop.command(&["ps"]).env("HOME", "relative").without("MSCTL_STATE_DIR").run().expect_code(1);
    insta::assert_snapshot!(ran.stderr, @r#"
    error: no folder for the state of platforms: neither MSCTL_STATE_DIR, XDG_STATE_HOME nor a home folder is known
    hint: set MSCTL_STATE_DIR to a folder that you may write to
    "#);
    assert!(!shop.root().join("relative").exists());
    let ran = shop.command(&["ps"]).env("HOME", "relative").without("MSCTL_STATE_DIR");
    ran.env("XDG_STATE_HOME", shop.home().join("xdg")).run().success();
    assert!(shop.home().join("xdg/msctl").is_dir());
}

#[test]
fn a_state_folder_that_cannot_be_made_is_named() {
    let shop = TestPlatform::of(&[TestService::named("order")]);
    let file = shop.home().join("file");
    fs::write(&file, "").unwrap();
    for arguments in [&["up"][..], &["up", "-d"], &["ps"], &["token", "issue", "--subject", "me"]] {
        let ran = shop.command(arguments).env("MSCTL_STATE_DIR", file.join("state")).run().expect_code(1);
        let shown = shop.plain(&ran.stderr);
        assert!(shown.starts_with("error: cannot make the state folder [DIR]/file/state/shop-"), "{shown}");
        assert!(shown.contains("(os error 20)\nhint: set MSCTL_STATE_DIR to a folder"), "{shown}");
    }
}

#[test]
fn a_state_folder_too_deep_for_a_socket_is_said_to_be() {
    let shop = TestPlatform::of(&[TestService::named("order")]);
    let deep = shop.home().join("d".repeat(120));
    for arguments in [&["up"][..], &["up", "-d"]] {
        let ran = shop.command(arguments).env("MSCTL_STATE_DIR", &deep).run().expect_code(1);
        assert!(ran.stderr.starts_with("error: cannot open the admin socket /"), "{}", ran.stderr);
        assert!(
            ran.stderr.contains(
                "and a socket's may have 107\nhint: set MSCTL_STATE_DIR to a folder with a short path\n"
            ),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn a_place_that_takes_no_files_is_named() {
    // Root may write to every ordinary folder; /proc takes files from nobody.
    let folder = tempfile::tempdir().unwrap();
    let ran = Msctl::new(folder.path(), &["new", "platform", "shop"]).within("/proc").run().expect_code(1);
    insta::assert_snapshot!(ran.stderr, @"error: failed to create /proc/shop: entity not found");
}
