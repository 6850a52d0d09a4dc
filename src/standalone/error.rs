//! Why a gateway does not start, or does not follow.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::certificates::CertificateError;
use super::tokens::KeysError;
use crate::handover::TakeError;

#[derive(Debug, thiserror::Error)]
pub enum StandaloneError {
    #[error("the gateway cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("cannot write the access log to {}: {source}", .path.display())]
    AccessLog { path: PathBuf, source: std::io::Error },
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
    #[error("failed to set up TLS: {0}")]
    Tls(String),
}
