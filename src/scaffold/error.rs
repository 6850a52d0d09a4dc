//! What can go wrong between a template and the files made of it.

use std::io;
use std::path::{Path, PathBuf};

/// Each message completes "failed to …" and names the thing, the place and the cause; what to do
/// about it is in [`ScaffoldError::hint`].
#[derive(Debug, thiserror::Error)]
pub enum ScaffoldError {
    #[error("find a template named {name:?}")]
    UnknownTemplate { name: String, similar: Option<String>, known: Vec<String> },
    #[error("use the template {template:?} for a {wanted}: it makes a {found}")]
    WrongKind { template: String, wanted: &'static str, found: &'static str },
    #[error("use {path} as a template: {reason}")]
    NotATemplate { path: String, reason: String },
    #[error("read the template at {path}: {source}", path = .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("use the name {name:?} with the template {template:?}: {language} keeps it for itself")]
    ReservedName { template: String, language: String, name: String },
    #[error("set {variable:?} for the template {template:?}: {reason}")]
    Variable { template: String, variable: String, reason: String },
    #[error("render {file} of the template {template:?}: {reason}")]
    Render { template: String, file: String, reason: String },
    #[error("write {path:?}: {reason}")]
    UnsafePath { path: String, reason: &'static str },
    #[error("create {path}: it exists already", path = .path.display())]
    Exists { path: PathBuf },
    #[error("create {path}: {source}", path = .path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl ScaffoldError {
    /// What the user can do next, where there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownTemplate { similar: Some(similar), .. } => {
                Some(format!("did you mean {similar:?}?"))
            }
            Self::UnknownTemplate { known, .. } => Some(format!("the templates are: {}", known.join(", "))),
            Self::ReservedName { .. } => Some("choose another name, such as its plural".to_owned()),
            Self::Exists { .. } => Some("choose another name, or move what is there away".to_owned()),
            Self::Write { source, .. } => hint_for_io(source),
            _ => None,
        }
    }

    pub(super) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }

    pub(super) fn writing(path: &Path, source: io::Error) -> Self {
        Self::Write { path: path.to_owned(), source }
    }
}

fn hint_for_io(source: &io::Error) -> Option<String> {
    let text = match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "run it in a folder that you may write to"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some disk space and run it again",
        _ => return None,
    };
    Some(text.to_owned())
}
