//! The files that are going to be written, as data that can be shown, compared and tested.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Component, Path, PathBuf};

use super::error::ScaffoldError;

/// Everything below one new folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePlan {
    /// The folder that is created, relative to where the plan is written.
    pub target: PathBuf,
    /// Sorted by path.
    pub files: Vec<FileOp>,
}

/// One file. Folders follow from the paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOp {
    /// Relative to the plan's target.
    pub path: PathBuf,
    pub contents: Vec<u8>,
    pub executable: bool,
}

impl FilePlan {
    /// Refuses a plan that would leave its folder or write a file twice: a template is somebody
    /// else's input.
    pub fn check_paths(&self) -> Result<(), ScaffoldError> {
        let paths = self.files.iter().map(|file| &file.path);
        paths.clone().chain([&self.target]).try_for_each(|path| check_path(path))?;
        let mut seen = BTreeSet::new();
        match paths.into_iter().find(|path| !seen.insert(*path)) {
            Some(twice) => Err(unsafe_path(twice, "two files have this path")),
            None => Ok(()),
        }
    }
}

/// Accepts only a relative path that stays where it is put, on every operating system.
pub fn check_path(path: &Path) -> Result<(), ScaffoldError> {
    match fault_of(path) {
        Some(reason) => Err(unsafe_path(path, reason)),
        None => Ok(()),
    }
}

fn unsafe_path(path: &Path, reason: &'static str) -> ScaffoldError {
    ScaffoldError::UnsafePath { path: path.display().to_string(), reason }
}

fn fault_of(path: &Path) -> Option<&'static str> {
    let Some(text) = path.to_str() else {
        return Some("its name is not UTF-8");
    };
    if text.is_empty() {
        return Some("the path is empty");
    }
    if text.chars().any(char::is_control) {
        return Some("a control character is not allowed in a path");
    }
    // A backslash or a colon is harmless here and an escape from the folder on Windows.
    if text.contains(['\\', ':']) {
        return Some("\"\\\" and \":\" are not allowed in a path");
    }
    if path.components().any(|part| !matches!(part, Component::Normal(_)))
        || text.split('/').any(|p| p == ".")
    {
        return Some("it must stay inside its folder: no leading \"/\", no \".\" and no \"..\"");
    }
    None
}

impl fmt::Display for FilePlan {
    /// The tree of `--plan`, folders marked by a slash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut root = Folder::default();
        for file in &self.files {
            root.insert(&file.path);
        }
        writeln!(f, "{}/", self.target.display())?;
        root.fmt_below(f, "")?;
        write!(f, "{} files", self.files.len())
    }
}

/// A folder's entries by name; a file is an entry without entries.
#[derive(Default)]
struct Folder(BTreeMap<String, Folder>);

impl Folder {
    fn insert(&mut self, path: &Path) {
        let mut folder = self;
        for part in path.iter() {
            folder = folder.0.entry(part.to_string_lossy().into_owned()).or_default();
        }
    }

    fn fmt_below(&self, f: &mut fmt::Formatter<'_>, indent: &str) -> fmt::Result {
        let last = self.0.len().saturating_sub(1);
        for (index, (name, below)) in self.0.iter().enumerate() {
            let (branch, trunk) =
                if index == last { ("└── ", "    ") } else { ("├── ", "│   ") };
            let slash = if below.0.is_empty() { "" } else { "/" };
            writeln!(f, "{indent}{branch}{name}{slash}")?;
            below.fmt_below(f, &format!("{indent}{trunk}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(paths: &[&str]) -> FilePlan {
        let file = |path: &&str| FileOp { path: path.into(), contents: Vec::new(), executable: false };
        FilePlan { target: "services/orders".into(), files: paths.iter().map(file).collect() }
    }

    #[test]
    fn a_plan_reads_as_a_tree() {
        insta::assert_snapshot!(plan(&["Cargo.toml", "src/http/mod.rs", "src/main.rs", "x.md"]), @r"
        services/orders/
        ├── Cargo.toml
        ├── src/
        │   ├── http/
        │   │   └── mod.rs
        │   └── main.rs
        └── x.md
        4 files
        ");
    }

    #[test]
    fn a_path_that_could_leave_its_folder_is_refused() {
        for bad in [
            "",
            "/etc/passwd",
            "..",
            "../x",
            "a/../../x",
            "a/..",
            "./a",
            "a/./b",
            "C:\\x",
            "C:x",
            "\\\\host\\x",
            "a\\..\\b",
            "a\0b",
            "a\nb",
        ] {
            assert!(plan(&["good", bad]).check_paths().is_err(), "{bad:?}");
        }
        for good in ["a", "a/b.txt", ".gitignore", "..a", "a b", "exchange-rate/ü"] {
            assert!(plan(&[good]).check_paths().is_ok(), "{good:?}");
        }
    }

    #[test]
    fn the_target_is_checked_like_every_file() {
        let outside = FilePlan { target: "../elsewhere".into(), files: Vec::new() };
        assert_eq!(
            outside.check_paths().unwrap_err().to_string(),
            "write \"../elsewhere\": it must stay inside its folder: no leading \"/\", no \".\" and no \"..\""
        );
    }
}
