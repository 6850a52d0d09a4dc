//! `.dockerignore`: which files of a folder are no part of its build context.
//!
//! Patterns are anchored to the folder, match a path or any folder above it, and the last one that
//! matches wins (Docker's documentation of the file). That differs from `.gitignore` in anchoring
//! and in what `!` can bring back, so each pattern is matched alone and the order is kept here.

use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

pub const FILE_NAME: &str = ".dockerignore";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Exclude,
    Include,
}

/// The patterns of one file.
pub struct DockerIgnore {
    patterns: Vec<(Gitignore, Effect)>,
}

impl DockerIgnore {
    /// A pattern that cannot be understood is left out, as no pattern at all.
    pub fn parse(text: &str) -> Self {
        let lines = text.trim_start_matches('\u{feff}').lines();
        Self { patterns: lines.filter_map(parse_line).collect() }
    }

    /// Reads the file of a folder; one that is not there excludes nothing.
    pub fn read(folder: &Path) -> std::io::Result<Self> {
        match std::fs::read(folder.join(FILE_NAME)) {
            Ok(text) => Ok(Self::parse(&String::from_utf8_lossy(&text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::parse("")),
            Err(error) => Err(error),
        }
    }

    /// Whether this path, relative to the folder, is left out.
    pub fn excludes(&self, path: &Path, is_folder: bool) -> bool {
        let matches = |pattern: &Gitignore| pattern.matched_path_or_any_parents(path, is_folder).is_ignore();
        let last = self.patterns.iter().rfind(|(pattern, _)| matches(pattern));
        last.is_some_and(|(_, effect)| *effect == Effect::Exclude)
    }

    /// Whether nothing in this folder can be part of the context, so that it need not be read.
    pub fn excludes_all_of(&self, folder: &Path) -> bool {
        let brings_back = self.patterns.iter().any(|(_, effect)| *effect == Effect::Include);
        !brings_back && self.excludes(folder, true)
    }
}

fn parse_line(line: &str) -> Option<(Gitignore, Effect)> {
    if line.starts_with('#') {
        return None;
    }
    let (pattern, effect) = match line.trim().strip_prefix('!') {
        Some(rest) => (rest.trim(), Effect::Include),
        None => (line.trim(), Effect::Exclude),
    };
    let pattern = clean(pattern)?;
    let mut builder = GitignoreBuilder::new("");
    builder.add_line(None, &format!("/{pattern}")).ok()?;
    Some((builder.build().ok()?, effect))
}

/// Normalises as a path; braces mean themselves to Docker.
fn clean(pattern: &str) -> Option<String> {
    let mut segments: Vec<&str> = Vec::new();
    for segment in pattern.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    (!segments.is_empty()).then(|| segments.join("/").replace('{', "\\{").replace('}', "\\}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excluded(patterns: &str, paths: &[&str]) -> Vec<String> {
        let ignore = DockerIgnore::parse(patterns);
        let excluded = paths.iter().filter(|path| ignore.excludes(Path::new(path), false));
        excluded.map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn patterns_are_anchored_to_the_folder() {
        assert_eq!(excluded("target", &["target", "target/a", "sub/target"]), ["target", "target/a"]);
        assert_eq!(excluded("/target/", &["target/a", "sub/target"]), ["target/a"]);
        assert_eq!(excluded("**/target", &["target/a", "sub/target/b"]), ["target/a", "sub/target/b"]);
        assert_eq!(excluded("*.md", &["a.md", "docs/a.md"]), ["a.md"]);
        assert_eq!(excluded("*/*.md", &["a.md", "docs/a.md", "docs/x/a.md"]), ["docs/a.md"]);
    }

    #[test]
    fn everything_but_some_can_be_excluded() {
        let paths = ["src/main.rs", "src/deep/a.rs", "Cargo.toml", "README.md"];
        assert_eq!(excluded("*\n!src\n!Cargo.toml", &paths), ["README.md"]);
    }

    #[test]
    fn the_last_matching_pattern_wins() {
        assert_eq!(
            excluded("docs\n!docs/a.md\ndocs/a*", &["docs/a.md", "docs/b.md"]),
            ["docs/a.md", "docs/b.md"]
        );
        assert_eq!(excluded("docs/x\n!docs", &["docs/x/a"]), [""; 0]);
    }

    #[test]
    fn comments_blank_lines_and_braces_are_read_as_docker_does() {
        assert_eq!(excluded("# a\n\n  \n b \n{c,d}\n.\n..", &["a", "b", "c", "{c,d}"]), ["b", "{c,d}"]);
    }

    #[test]
    fn a_folder_is_only_skipped_when_nothing_can_come_back() {
        let skipped = |patterns: &str| DockerIgnore::parse(patterns).excludes_all_of(Path::new("docs"));
        assert!(skipped("docs"));
        assert!(!skipped("docs\n!docs/a.md"));
        assert!(!skipped("src"));
    }
}
