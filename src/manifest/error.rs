//! Why there is no platform to work with.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use super::diagnostic::Diagnostics;
use super::find::MANIFEST_FILE;

#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("find a platform: there is no {MANIFEST_FILE} in {} or any folder above it", start.display())]
    NotFound { start: PathBuf },
    #[error("read {}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Every problem found, in all files. Their text stands on its own.
    #[error("{0}")]
    Invalid(Diagnostics),
}

impl ManifestError {
    /// Files and folders whose creation is worth another look.
    #[must_use]
    pub fn missing(&self) -> BTreeSet<PathBuf> {
        match self {
            Self::Invalid(found) => found.missing().clone(),
            Self::NotFound { .. } | Self::Unreadable { .. } => BTreeSet::new(),
        }
    }

    /// What to do next; `None` where each problem carries its own hint.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotFound { .. } => {
                Some("create one with `msctl new platform <name>`, or go into a platform's folder")
            }
            Self::Unreadable { .. } => Some("check that the file is there and that you may read it"),
            Self::Invalid(_) => None,
        }
    }
}
