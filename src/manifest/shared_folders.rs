//! `[build] shared`: folders that a service is built from besides its own.
//!
//! Whether they keep clear of the folders of services is checked once all of these are known.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::PathBuf;

use super::ground::Ground;
use super::problems::Problems;
use super::source::Located;
use super::values::Value;

const EXAMPLE: &str = "[\"../../libs/common\"]";

/// Canonical, each where it is named.
pub fn read(value: Value<'_>, ground: Ground<'_>) -> Vec<Located<PathBuf>> {
    let problems = value.problems;
    let mut seen = BTreeSet::new();
    let mut folders = Vec::new();
    let named = value.list(EXAMPLE).unwrap_or_default().into_iter();
    for named in named.filter_map(|element| element.filled_text(EXAMPLE)) {
        let Some(folder) = resolve(&named, ground, problems) else { continue };
        if seen.insert(folder.clone()) {
            folders.push(Located { value: folder, place: named.place });
        } else {
            let message = format!("the shared folder {:?} is listed twice", named.value);
            problems.report(&named.place, message, "keep one of the two");
        }
    }
    folders
}

fn resolve(named: &Located<String>, ground: Ground<'_>, problems: &Problems) -> Option<PathBuf> {
    let shown = &named.value;
    let (message, hint) = match ground.at(shown).canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            problems.miss(ground.place_of_missing(shown));
            (format!("there is no folder {shown:?}"), "the path begins at the folder of service.toml")
        }
        Err(error) => (format!("{shown:?} cannot be read: {error}"), "check its permissions"),
        Ok(path) if !path.is_dir() => {
            (format!("{shown:?} is not a folder"), "name the folder that the file is in")
        }
        Ok(path) if !path.starts_with(ground.root) => (
            format!("{shown:?} leads out of the platform's folder, to {:?}", path.display().to_string()),
            "move it into the platform's folder: all that a platform is built from is in there",
        ),
        Ok(path) => return Some(path),
    };
    problems.report(&named.place, message, hint);
    None
}
