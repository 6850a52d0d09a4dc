//! Where the relative paths of a file begin, and how paths are shown. Reads no file.

use std::path::{Component, Path, PathBuf};

/// Both canonical.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    pub root: &'a Path,
    /// The folder of the file that is read.
    pub folder: &'a Path,
}

impl Ground<'_> {
    pub fn at(self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// Where something that is not there would be: canonical, as far as there is anything.
    pub fn place_of_missing(self, path: &str) -> PathBuf {
        let mut place = PathBuf::new();
        for component in self.at(path).components() {
            match component {
                Component::ParentDir => drop(place.pop()),
                other => place.push(other),
            }
            place = place.canonicalize().unwrap_or(place);
        }
        place
    }

    /// Relative to the platform's root, if it is below that.
    pub fn shown(self, path: &Path) -> PathBuf {
        path.strip_prefix(self.root).unwrap_or(path).to_owned()
    }
}
