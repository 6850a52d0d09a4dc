//! What a look at files found, for where nobody tells of changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::build::Kind;

/// Everything that was there, with what changes when the content does.
pub type Look = BTreeMap<PathBuf, Kind>;

/// The paths at which two looks differ.
pub fn differences<'a>(before: &'a Look, after: &'a Look) -> impl Iterator<Item = &'a Path> {
    let changed = after.iter().filter(|(path, kind)| before.get(*path) != Some(kind));
    let gone = before.keys().filter(|path| !after.contains_key(*path));
    changed.map(|(path, _)| path).chain(gone).map(PathBuf::as_path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(entries: &[(&str, &str)]) -> Look {
        let entry = |(path, target): &(&str, &str)| {
            let kind = if target.is_empty() { Kind::Folder } else { Kind::Link { target: target.into() } };
            (PathBuf::from(path), kind)
        };
        entries.iter().map(entry).collect()
    }

    #[test]
    fn what_came_went_or_is_something_else_differs() {
        let before = look(&[("same", "x"), ("other", "x"), ("gone", "x"), ("link", "x")]);
        let after = look(&[("same", "x"), ("other", "y"), ("come", "x"), ("link", "")]);
        let found: Vec<_> = differences(&before, &after).map(|path| path.to_str().unwrap()).collect();
        assert_eq!(found, ["come", "link", "other", "gone"]);
    }
}
