//! What a build can fail at.

use std::path::{Path, PathBuf};

use crate::model::event::Failure;
use crate::model::name::ServiceName;
use crate::model::quantity::ByteSize;
use crate::runtime::RuntimeError;

/// Messages complete "failed to build …".
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The compiler's own words are in `tail`; all of them are in `log`.
    #[error("the build command of {service} ended with {ending}: {command}")]
    CommandFailed { service: ServiceName, command: String, ending: String, tail: Vec<String>, log: PathBuf },
    #[error("the build command of {service} left no artifact at {}", path.display())]
    ArtifactMissing { service: ServiceName, path: PathBuf },
    #[error(
        "the artifact of {service}, {}, is dynamically linked: it needs {interpreter}, and its image holds \
         nothing but the artifact", path.display()
    )]
    ArtifactDynamic { service: ServiceName, path: PathBuf, interpreter: String },
    #[error("the artifact of {service}, {}, is not a 64-bit Linux program", path.display())]
    ArtifactForeign { service: ServiceName, path: PathBuf },
    #[error("base image {image} (line {line} of the Dockerfile of {service}) is missing: {reason}")]
    BaseImageMissing { service: ServiceName, image: String, line: usize, reason: String },
    #[error("{service} needs a container engine: its service.toml does not say how to run it without one")]
    NeedsEngine { service: ServiceName },
    #[error("the Dockerfile of {service}, {}, is outside of its folder", path.display())]
    DockerfileOutside { service: ServiceName, path: PathBuf },
    #[error("the build context of {service}, {}, holds {size}; more than {limit} is refused", folder.display())]
    ContextTooLarge { service: ServiceName, folder: PathBuf, size: ByteSizeText, limit: ByteSize },
    #[error("cannot {what} {}: {source}", path.display())]
    File { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// A number of bytes, rounded for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSizeText(pub u64);

impl std::fmt::Display for ByteSizeText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} MiB", self.0 >> 20)
    }
}

impl BuildError {
    /// What to try next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::ArtifactMissing { .. } => {
                Some("\"artifact\" in [build] is relative to the service's folder, or starts with $MSCTL_CACHE/".into())
            }
            Self::ArtifactDynamic { .. } => Some(
                "link it statically (Rust: RUSTFLAGS=\"-C target-feature=+crt-static\" and --target \
                 $MSCTL_TARGET; Go: CGO_ENABLED=0), or set strategy = \"dockerfile\" in [build]"
                    .into(),
            ),
            Self::ArtifactForeign { .. } => {
                Some("build for the target in $MSCTL_TARGET, or set strategy = \"dockerfile\" in [build]".into())
            }
            Self::BaseImageMissing { image, .. } => Some(format!(
                "name an image that is on this machine in msctl.toml: [images.aliases] \"{image}\" = \"…\""
            )),
            Self::NeedsEngine { .. } => Some(
                "add to its service.toml: [process] command = \"…\", a command that serves on $PORT, and build = \
                 \"…\" if it has to be prepared"
                    .into(),
            ),
            Self::DockerfileOutside { .. } => Some("move it into the service's folder".into()),
            Self::ContextTooLarge { .. } => Some("list what the image does not need in .dockerignore".into()),
            _ => None,
        }
    }

    /// Whether the same sources fail in the same way again.
    fn is_lasting(&self) -> bool {
        !matches!(self, Self::BaseImageMissing { .. } | Self::File { .. } | Self::Runtime(_))
    }

    /// The last lines that the build printed.
    #[must_use]
    pub fn excerpt(&self) -> &[String] {
        match self {
            Self::CommandFailed { tail, .. } | Self::Runtime(RuntimeError::BuildFailed { tail, .. }) => tail,
            _ => &[],
        }
    }

    /// Where everything that the build printed is.
    #[must_use]
    pub fn log(&self) -> Option<&Path> {
        match self {
            Self::CommandFailed { log, .. } => Some(log),
            _ => None,
        }
    }

    pub(super) fn file(what: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::File { what, path: path.to_owned(), source }
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Runtime(error) => error.into(),
            error => Self {
                message: error.to_string(),
                hint: error.hint(),
                excerpt: error.excerpt().to_vec(),
                log: error.log().map(|path| path.display().to_string()),
                is_lasting: error.is_lasting(),
                ..Self::default()
            },
        }
    }
}
