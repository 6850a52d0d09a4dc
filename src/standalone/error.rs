//! Why a gateway does not start, or does not follow.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::certificates::CertificateError;
use super::tokens::KeysError;
use crate::gateway::AccessLogError;
use crate::handover::TakeError;

#[derive(Debug, thiserror::Error)]
pub enum StandaloneError {
    #[error("the gateway cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error(
        "share_port cannot change while {address} is open: stop the gateway and start it again, or listen \
         at another address"
    )]
    Sharing { address: SocketAddr },
    #[error("cannot start the gateway's threads: {0}")]
    Workers(std::io::Error),
    #[error("cannot take the listeners over: {0}")]
    Handover(#[from] TakeError),
    #[error("cannot offer the listeners at {}: {source}", .path.display())]
    Post { path: PathBuf, source: std::io::Error },
    #[error("failed to {0}")]
    Keys(#[from] KeysError),
    #[error("failed to {0}")]
    Certificate(#[from] CertificateError),
    #[error("failed to {0}")]
    AccessLog(#[from] AccessLogError),
    #[error("failed to set up TLS: {0}")]
    Tls(String),
}
