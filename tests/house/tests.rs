//! What is checked, one test a rule.

use std::fs;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

/// Hosts that packages come from, in two halves, so that this file keeps its own rule.
const REGISTRIES: &[(&str, &str)] = &[
    ("crates", ".io"),
    ("pypi", ".org"),
    ("pythonhosted", ".org"),
    ("npmjs", ".org"),
    ("npmjs", ".com"),
    ("proxy.golang", ".org"),
    ("sum.golang", ".org"),
];

/// Every text file of the project, with its path relative to the root.
fn texts() -> impl Iterator<Item = (PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let walk = WalkBuilder::new(root)
        .hidden(false)
        .require_git(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .build();
    let files = walk.map(Result::unwrap).filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()));
    files.filter_map(move |entry| {
        let text = fs::read_to_string(entry.path()).ok()?;
        Some((entry.path().strip_prefix(root).unwrap().to_owned(), text))
    })
}

/// Lock files of cargo name its registry, and there is no other way to write them.
#[test]
fn no_file_but_a_cargo_lock_names_a_package_registry() {
    let hosts: Vec<String> = REGISTRIES.iter().map(|(name, domain)| format!("{name}{domain}")).collect();
    let mut found = Vec::new();
    let mut seen = 0;
    for (path, text) in texts().filter(|(path, _)| !path.ends_with("Cargo.lock")) {
        seen += 1;
        let names_one = |line: &str| hosts.iter().any(|host| line.contains(host));
        let lines = text.lines().enumerate().filter(|(_, line)| names_one(line));
        found.extend(lines.map(|(number, line)| format!("{}:{}: {line}", path.display(), number + 1)));
    }
    assert!(seen > 100, "the files were not found");
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn every_module_begins_by_saying_what_it_is() {
    let is_module = |path: &Path| {
        let is_source = path.starts_with("src") && path.extension().is_some_and(|it| it == "rs");
        is_source && !path.ends_with("tests.rs")
    };
    let silent = texts().filter(|(path, text)| is_module(path) && !text.starts_with("//! "));
    let silent: Vec<PathBuf> = silent.map(|(path, _)| path).collect();
    assert_eq!(silent, [] as [PathBuf; 0]);
}

/// Where the tests of each fault are named, in backticks, by the path by which a run is asked for them.
const FAULTS: &str = "tests/e2e/faults/README.md";

#[test]
fn every_test_that_a_fault_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join(FAULTS)).unwrap();
    let named: Vec<&str> = text.split('`').skip(1).step_by(2).filter(|name| name.contains("::")).collect();
    assert!(named.len() > 80, "the table was not understood: {named:?}");
    let missing: Vec<&&str> = named.iter().filter(|name| !is_a_test(root, name)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Whether a module of that path has a function of that name.
fn is_a_test(root: &Path, path: &str) -> bool {
    let (module, name) = path.rsplit_once("::").expect("a path");
    let file = module.replace("::", "/");
    let inline = file.strip_suffix("/tests").unwrap_or(&file);
    let declared = format!("fn {name}(");
    let candidates = ["src", "tests"].into_iter().flat_map(|place| {
        [format!("{place}/{file}.rs"), format!("{place}/{file}/mod.rs"), format!("{place}/{inline}.rs")]
    });
    candidates
        .filter_map(|path| fs::read_to_string(root.join(path)).ok())
        .any(|text| text.contains(&declared))
}
