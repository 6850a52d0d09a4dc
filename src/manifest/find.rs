//! Where the platform is: the nearest folder, upwards, that holds a manifest.

use std::path::{Path, PathBuf};

use super::error::ManifestError;

pub const MANIFEST_FILE: &str = "msctl.toml";

/// The path of the nearest `msctl.toml`, in `start` or the closest folder above it.
pub fn find(start: &Path) -> Result<PathBuf, ManifestError> {
    let unreadable = |source| ManifestError::Unreadable { path: start.to_owned(), source };
    let start = std::path::absolute(start).map_err(unreadable)?;
    start
        .ancestors()
        .map(|folder| folder.join(MANIFEST_FILE))
        .find(|candidate| candidate.is_file())
        .ok_or(ManifestError::NotFound { start })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_manifest_wins_over_one_further_up() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("outer/inner/deep");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(root.path().join("outer/msctl.toml"), "").unwrap();
        assert_eq!(find(&inner).unwrap(), root.path().join("outer/msctl.toml"));

        std::fs::write(root.path().join("outer/inner/msctl.toml"), "").unwrap();
        assert_eq!(find(&inner).unwrap(), root.path().join("outer/inner/msctl.toml"));
    }

    #[test]
    fn a_folder_named_like_the_manifest_is_not_one() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("msctl.toml")).unwrap();
        assert!(matches!(find(root.path()), Err(ManifestError::NotFound { .. })));
    }

    #[test]
    fn without_a_manifest_the_error_says_where_it_looked_and_what_to_do() {
        let root = tempfile::tempdir().unwrap();
        let error = find(root.path()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "find a platform: there is no msctl.toml in {} or any folder above it",
                root.path().display()
            )
        );
        assert_eq!(
            error.hint(),
            Some("create one with `msctl new platform <name>`, or go into a platform's folder")
        );
    }
}
