use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::WalkBuilder;
use proptest::prelude::*;
use tempfile::TempDir;

use super::{Git, Rules};
use crate::build::dockerignore::DockerIgnore;
use crate::build::walk::{self, Kind};

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn rules(folder: &Path) -> Arc<Rules> {
    Arc::new(Rules::new(folder, folder, DockerIgnore::read(folder).unwrap(), Git::Heeded))
}

/// Which of the paths are admitted, each one asked for by itself. They need not exist.
fn admitted(folder: &Path, paths: &[&str]) -> Vec<String> {
    let rules = rules(folder);
    let admitted = paths.iter().filter(|path| rules.admit(&folder.join(path), false));
    admitted.map(|path| (*path).to_owned()).collect()
}

#[test]
fn a_path_that_is_not_there_is_judged_by_its_name_and_by_all_folders_above_it() {
    let folder = folder(&[(".gitignore", "*.log\n/out/"), ("src/.gitignore", "!keep.log\nmade.rs")]);
    let paths = ["a.rs", "a.log", "src/keep.log", "src/b.log", "src/made.rs", "src/deep/made.rs", "out/x/y"];
    assert_eq!(admitted(folder.path(), &paths), ["a.rs", "src/keep.log"]);
}

#[test]
fn a_folder_that_can_be_made_again_holds_no_source() {
    let folder = folder(&[("target/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55")]);
    assert_eq!(admitted(folder.path(), &["target/debug/a", "node_modules/b/c.js", "src/c"]), ["src/c"]);
}

#[test]
fn nothing_outside_of_the_folder_is_a_source() {
    let folder = folder(&[]);
    let rules = rules(&folder.path().join("order"));
    assert!(rules.admit(&folder.path().join("order/a"), false));
    assert!(!rules.admit(&folder.path().join("order-history/a"), false));
    assert!(!rules.admit(&folder.path().join("a"), false));
}

#[test]
fn what_editors_keep_beside_a_file_is_none() {
    let folder = folder(&[]);
    let kept = [".main.rs.swp", ".main.rs.swx", "4913", "main.rs~", ".#main.rs", "#main.rs#", ".DS_Store"];
    assert_eq!(admitted(folder.path(), &kept), [""; 0]);
    let sources = [".env", ".swcrc", "a.swp", "logo.swf", "#", "a#", "49132"];
    assert_eq!(admitted(folder.path(), &sources), sources);
}

const PATTERNS: [&str; 9] = ["a", "/a", "b/", "!a", "*.x", "!c.x", "a/b", "**/c", "!/b/c"];

fn files() -> impl Strategy<Value = Vec<(String, String)>> {
    let folders = proptest::collection::vec("[abc]", 0..3);
    let name = prop_oneof![3 => Just("c.x"), 3 => Just("a"), 4 => Just(".gitignore"), 1 => Just(".git/HEAD")];
    let content = proptest::sample::subsequence(&PATTERNS[..], 0..4).prop_map(|lines| lines.join("\n"));
    let file = (folders, name, content).prop_map(|(folders, name, content)| {
        (folders.into_iter().chain([name.to_owned()]).collect::<Vec<_>>().join("/"), content)
    });
    proptest::collection::vec(file, 1..12)
}

/// A file may stand where another has a folder; the first one stays.
fn make(files: &[(String, String)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = folder.path().join(path);
        if fs::create_dir_all(path.parent().unwrap()).is_ok() {
            let _ = fs::write(path, content);
        }
    }
    folder
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn gitignore_files_mean_what_the_library_means_by_them(files in files()) {
        let folder = make(&files);
        let mut theirs = WalkBuilder::new(folder.path());
        theirs.standard_filters(false).git_ignore(true).require_git(false);
        theirs.filter_entry(|entry| entry.file_name() != ".git");
        let mut theirs: Vec<PathBuf> = theirs.build().map(|entry| entry.unwrap().into_path()).skip(1).collect();
        let ours = walk::sources(folder.path(), &rules(folder.path())).unwrap();
        let mut ours: Vec<PathBuf> = ours.into_iter().map(|entry| folder.path().join(entry.path)).collect();
        theirs.sort();
        ours.sort();
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn what_the_walk_finds_is_what_is_admitted(files in files()) {
        let folder = make(&files);
        let found = walk::sources(folder.path(), &rules(folder.path())).unwrap();
        let rules = rules(folder.path());
        for entry in WalkBuilder::new(folder.path()).standard_filters(false).build().map(Result::unwrap).skip(1) {
            let is_folder = entry.file_type().unwrap().is_dir();
            let is_found = found.iter().any(|found| folder.path().join(&found.path) == entry.path()
                && (found.kind == Kind::Folder) == is_folder);
            prop_assert_eq!(rules.admit(entry.path(), is_folder), is_found, "{:?}", entry.path());
        }
    }
}
