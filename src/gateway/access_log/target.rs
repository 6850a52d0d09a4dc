//! From what a configuration says to an open log.

use std::io;
use std::path::{Path, PathBuf};

use super::queue::AccessLog;
use crate::model::platform::AccessLogTarget;

#[derive(Debug, thiserror::Error)]
#[error("open the access log {}: {source}", path.display())]
pub struct AccessLogError {
    pub path: PathBuf,
    pub source: io::Error,
}

impl AccessLog {
    /// `None` where nothing is to be noted. Files are relative to `root`; `usual` opens what stands in
    /// for a target that nobody named, and says what it is called.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(
        target: &AccessLogTarget,
        root: &Path,
        usual: impl FnOnce() -> (PathBuf, io::Result<Self>),
    ) -> Result<Option<Self>, AccessLogError> {
        let (path, opened) = match target {
            AccessLogTarget::Off => return Ok(None),
            AccessLogTarget::StateFolder => usual(),
            AccessLogTarget::Stderr => (PathBuf::from("stderr"), Self::to_writer(io::stderr())),
            AccessLogTarget::File(path) => {
                let path = root.join(path);
                let opened = Self::to_file(&path);
                (path, opened)
            }
        };
        opened.map(Some).map_err(|source| AccessLogError { path, source })
    }
}
