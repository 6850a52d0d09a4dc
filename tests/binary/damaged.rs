//! What the platform keeps on disk is damaged, or another msctl's.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::platform::{TestPlatform, TestService};

fn shop() -> TestPlatform {
    let shop =
        TestPlatform::of(&[TestService::named("order").calls("product"), TestService::named("product")]);
    shop.up();
    shop
}

/// Every plain file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}

fn damaged(damage: &str, bytes: &[u8]) -> Vec<u8> {
    match damage {
        "half" => bytes[..bytes.len() / 2].to_vec(),
        "zeroes" => vec![0; bytes.len()],
        _ => Vec::new(),
    }
}

fn kill_the_platform_process(shop: &TestPlatform) {
    let pid = i32::try_from(shop.ps()["pid"].as_i64().expect("it is up")).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn what_runs_is_found_again_by_its_labels_whatever_became_of_the_state_folder() {
    let shop = shop();
    let instances = |shop: &TestPlatform| [shop.instances("order"), shop.instances("product")];
    let before = instances(&shop);
    let mut log = String::new();
    for damage in ["half", "zeroes", "nothing"] {
        kill_the_platform_process(&shop);
        let state = shop.state();
        // A key cannot be made up anew without everybody's tokens being lost: see the next test.
        for file in files(&state).iter().filter(|file| !file.ends_with("signing-key.pem")) {
            fs::write(file, damaged(damage, &fs::read(file).unwrap())).unwrap();
        }
        shop.up();
        assert_eq!(instances(&shop), before, "nothing was started anew");
        assert_eq!(shop.get("/order").body, "nothing at /order");
        log += &fs::read_to_string(state.join("platform.log")).unwrap_or_default();
    }
    let aside = files(&shop.state());
    let aside = aside.iter().filter(|file| file.to_string_lossy().contains(".corrupt-")).count();
    assert!(aside >= 2, "accounts and history are set aside: {:#?}", files(&shop.state()));
    assert!(log.contains("was damaged; it was set aside and a new one begun"), "{log}");
}

#[test]
fn a_damaged_signing_key_is_named_and_left_for_its_owner_to_see() {
    let shop = shop();
    shop.msctl(&["down"]).success();
    let key = shop.state().join("auth/signing-key.pem");
    let whole = fs::read(&key).unwrap();
    fs::write(&key, &whole[..whole.len() / 2]).unwrap();
    let refused = shop.msctl(&["up", "-d"]).expect_code(1);
    assert!(refused.stderr.contains("signing-key.pem"), "{}", refused.stderr);
    assert_eq!(fs::read(&key).unwrap(), whole[..whole.len() / 2]);
    fs::write(&key, &whole).unwrap();
    shop.up();
}

#[test]
fn accounts_of_a_newer_msctl_are_refused_and_not_overwritten() {
    let shop = shop();
    shop.msctl(&["down"]).success();
    // Who closes it last leaves all of it in one file.
    shop.msctl(&["user", "list"]).success();
    let accounts = shop.state().join("auth/accounts.db");
    let good = fs::read(&accounts).unwrap();
    // SQLite keeps `user_version` in the four bytes at 60 (its file format, section 1.3).
    let mut newer = good.clone();
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    fs::write(&accounts, &newer).unwrap();
    for verb in [&["up", "-d"][..], &["up"], &["user", "list"]] {
        let refused = shop.msctl(verb).expect_code(1);
        assert!(
            refused.stderr.contains("it was written by a newer msctl (format 99, this one knows "),
            "{verb:?}: {}",
            refused.stderr
        );
        assert_eq!(fs::read(&accounts).unwrap(), newer, "{verb:?}");
    }
    fs::write(&accounts, &good).unwrap();
    shop.up();
}
