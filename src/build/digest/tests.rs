use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use tempfile::TempDir;

use super::Digester;
use crate::build::dockerignore::DockerIgnore;
use crate::build::rules::{Git, Rules};
use crate::build::walk;

fn digest(folder: &Path) -> String {
    let entries = sources(folder, folder, DockerIgnore::read(folder).unwrap());
    let mut digester = Digester::new();
    digester.add_files(folder, &entries).unwrap();
    digester.finish().0
}

fn sources(root: &Path, folder: &Path, ignored: DockerIgnore) -> Vec<walk::Entry> {
    walk::sources(folder, &Arc::new(Rules::new(root, folder, ignored, Git::Heeded))).unwrap()
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        write(folder.path(), path, content);
    }
    folder
}

fn write(folder: &Path, path: &str, content: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// What `change` does to a folder must show in its digest, or must not.
fn check(change: impl FnOnce(&Path), shows: bool) {
    let folder =
        folder(&[("src/main.rs", "fn main() {}"), ("Cargo.toml", "[package]"), (".gitignore", "/out\n")]);
    let before = digest(folder.path());
    change(folder.path());
    assert_eq!(digest(folder.path()) != before, shows);
}

#[test]
fn touching_a_file_does_not_show() {
    let touch = |folder: &Path| {
        let file = fs::File::options().write(true).open(folder.join("src/main.rs")).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(1000)).unwrap();
    };
    check(touch, false);
}

#[test]
fn content_names_execute_bits_and_links_show() {
    check(|folder| write(folder, "src/main.rs", "fn main() { }"), true);
    check(|folder| write(folder, "src/new.rs", ""), true);
    check(|folder| fs::rename(folder.join("src/main.rs"), folder.join("src/Main.rs")).unwrap(), true);
    check(
        |folder| fs::set_permissions(folder.join("Cargo.toml"), fs::Permissions::from_mode(0o755)).unwrap(),
        true,
    );
    check(|folder| symlink("Cargo.toml", folder.join("link")).unwrap(), true);
}

#[test]
fn what_is_ignored_or_made_by_builds_does_not_show() {
    for path in ["out/a", "node_modules/a/b.js", ".git/HEAD", "__pycache__/a.pyc", ".venv/bin/python"] {
        check(|folder| write(folder, path, "x"), false);
    }
    check(
        |folder| write(folder, "target/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55"),
        false,
    );
}

#[test]
fn ignore_files_of_the_platforms_folder_count_and_those_above_do_not() {
    let outside = folder(&[(".gitignore", "*"), ("store/.gitignore", "*.log"), ("store/order/main.py", "1")]);
    let root = outside.path().join("store");
    let paths = || {
        let entries = sources(&root, &root.join("order"), DockerIgnore::parse(""));
        entries.into_iter().map(|entry| entry.path.display().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(paths(), ["main.py"]);
    write(&root, "order/debug.log", "");
    assert_eq!(paths(), ["main.py"]);
}

#[test]
fn what_dockerignore_brings_back_shows() {
    let folder = folder(&[(".dockerignore", "*\n!src\n"), ("src/deep/main.rs", "1"), ("README.md", "1")]);
    let before = digest(folder.path());
    write(folder.path(), "README.md", "2");
    assert_eq!(digest(folder.path()), before);
    write(folder.path(), "src/deep/main.rs", "2");
    assert_ne!(digest(folder.path()), before);
}

#[test]
fn links_are_never_followed_not_even_in_circles() {
    let folder = folder(&[("a/file", "1")]);
    symlink("..", folder.path().join("a/up")).unwrap();
    symlink("/nonexistent", folder.path().join("broken")).unwrap();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), folder.path().join("out")).unwrap();
    let before = digest(folder.path());
    write(outside.path(), "secret", "1");
    assert_eq!(digest(folder.path()), before);
}

#[test]
fn strange_names_and_special_files_are_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let before = digest(folder.path());
    fs::write(folder.path().join(OsStr::from_bytes(b"caf\xe9\n")), "x").unwrap();
    fs::write(folder.path().join("x".repeat(255)), "x").unwrap();
    let with_names = digest(folder.path());
    assert_ne!(with_names, before);
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    assert_eq!(digest(folder.path()), with_names);
}

#[test]
fn a_change_right_after_a_look_is_seen() {
    let folder = folder(&[("a", "0")]);
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..200 {
        write(folder.path(), "a", &format!("{number:03}"));
        assert!(seen.insert(digest(folder.path())), "change {number} was missed");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_order_in_which_files_are_made_does_not_show(
        files in proptest::collection::btree_map("[a-c]{1,3}/[a-z]{1,4}", "[a-z]{0,8}", 1..8)
    ) {
        let forwards: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let backwards: Vec<(&str, &str)> = forwards.iter().rev().copied().collect();
        prop_assert_eq!(digest(folder(&forwards).path()), digest(folder(&backwards).path()));
    }

    #[test]
    fn moving_bytes_between_a_name_and_a_content_shows(name in "[a-z]{2,6}", content in "[a-z]{1,6}") {
        let (kept, moved) = name.split_at(1);
        let shifted = format!("{moved}{content}");
        prop_assert_ne!(digest(folder(&[(&name, &content)]).path()), digest(folder(&[(kept, &shifted)]).path()));
    }
}
