//! Where the relative paths of a file begin, and how paths are shown. Reads nothing.

use std::path::{Path, PathBuf};

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

    /// Relative to the platform's root, if it is below that.
    pub fn shown(self, path: &Path) -> PathBuf {
        path.strip_prefix(self.root).unwrap_or(path).to_owned()
    }
}
