//! Files whose names differ in nothing but what is counted, timed or made up: pure, by names alone.

use std::path::{Path, PathBuf};

/// Stands for what differs.
const ANY: char = '*';

/// Files of one folder with one pattern of a name: `out-1719.txt` and `out-1720.txt` are of `out-*.txt`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    folder: PathBuf,
    pattern: String,
}

impl Series {
    /// `None` where nothing in the name may differ, and where it is no text.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let pattern = pattern(name);
        (pattern != name).then(|| Self { folder: path.parent().unwrap_or(Path::new("")).to_owned(), pattern })
    }

    #[must_use]
    pub fn holds(&self, path: &Path) -> bool {
        path.parent() == Some(&self.folder) && Self::of(path).as_ref() == Some(self)
    }

    /// To be shown in place of its files.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.join(&self.pattern)
    }
}

fn pattern(name: &str) -> String {
    let mut pattern = String::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let is_word = first.is_ascii_alphanumeric();
        let end = rest.find(|next: char| next.is_ascii_alphanumeric() != is_word).unwrap_or(rest.len());
        let (piece, later) = rest.split_at(end);
        if is_word {
            push_word(&mut pattern, piece)
        } else {
            pattern.push_str(piece)
        }
        rest = later;
    }
    pattern
}

/// What goes back and forth between letters and digits is made up as a whole; else the digits differ.
fn push_word(pattern: &mut String, word: &str) {
    let kinds: Vec<bool> = word.chars().map(|each| each.is_ascii_digit()).collect();
    if kinds.windows(2).filter(|pair| pair[0] != pair[1]).count() > 1 {
        return pattern.push(ANY);
    }
    for each in word.chars() {
        match each.is_ascii_digit() {
            false => pattern.push(each),
            true if pattern.ends_with(ANY) => {}
            true => pattern.push(ANY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_the_name_without_what_is_counted_timed_or_made_up() {
        for (name, expected) in [
            ("out-1719000000.txt", Some("out-*.txt")),
            ("out2.txt", Some("out*.txt")),
            ("2026-11-23T18:02:08Z.log", Some("*-*-*:*:*Z.log")),
            ("index-a8f3b2c1.js", Some("index-*.js")),
            ("main.rs", None),
            ("café", None),
        ] {
            let series = Series::of(&Path::new("/store").join(name));
            assert_eq!(series.map(|one| one.pattern).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_series_holds_files_of_its_folder_alone() {
        let series = Series::of(Path::new("gen/out-1.txt")).unwrap();
        assert!(series.holds(Path::new("gen/out-22.txt")));
        for other in ["gen/out-1.md", "gen/deep/out-1.txt", "out-1.txt", "gen/out-.txt", "gen/in-1.txt"] {
            assert!(!series.holds(Path::new(other)), "{other}");
        }
        assert_eq!(series.path(), Path::new("gen/out-*.txt"));
    }
}
