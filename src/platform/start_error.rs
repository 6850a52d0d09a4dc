//! Why a platform does not start.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::certificates::TlsError;
use crate::auth::AuthError;
use crate::gateway::AccessLogError;
use crate::handover::TakeError;
use crate::model::exit::ExitCode;
use crate::runtime::RuntimeError;

/// What keeps a platform from starting. No instance runs then; the platform's empty network may be
/// left, for the next start or for `down`.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the gateway cannot listen on {listen}: {source}{holder}")]
    Gateway { listen: SocketAddr, source: std::io::Error, holder: String },
    /// Only a fresh start listens elsewhere.
    #[error("gateway.listen has changed, and the running platform cannot follow that")]
    Moved,
    #[error(transparent)]
    Handover(#[from] TakeError),
    #[error("cannot use the sockets of the platform: {0}")]
    Sockets(std::io::Error),
    #[error("failed to {0}")]
    AccessLog(#[from] AccessLogError),
    #[error("cannot open the admin socket {path}: {source}")]
    Admin { path: PathBuf, source: std::io::Error },
    #[error("failed to {0}")]
    Auth(#[from] AuthError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error("cannot start the gateway's threads: {0}")]
    Workers(std::io::Error),
    #[error("the internal door: {0}")]
    Door(String),
}

impl StartError {
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Gateway { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
                ExitCode::Conflict
            }
            Self::Runtime(error) if error.is_unreachable() => ExitCode::EngineUnreachable,
            _ => ExitCode::Failed,
        }
    }

    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Gateway { .. } => Some(
                "stop that process, or set another address under [gateway] listen in msctl.toml".to_owned(),
            ),
            Self::AccessLog(_) => {
                Some("set another file under [gateway] access_log in msctl.toml, or \"off\"".to_owned())
            }
            Self::Admin { .. } => Some("set MSCTL_STATE_DIR to a folder with a short path".to_owned()),
            Self::Runtime(error) => error.hint().map(str::to_owned),
            Self::Tls(error) => error.hint(),
            Self::Moved => Some("stop it with: msctl down, and start it again".to_owned()),
            Self::Auth(_) | Self::Door(_) | Self::Workers(_) | Self::Handover(_) | Self::Sockets(_) => None,
        }
    }
}
