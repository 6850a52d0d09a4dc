//! `msctl tls`: the authority that signs for the names of this machine. Needs no platform, and changes
//! nothing outside msctl's own folder.

use std::path::PathBuf;
use std::time::SystemTime;

use super::context::Context;
use super::error::OpsError;
use crate::certificates::Authority;

/// What there is to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// The authority's certificate, PEM.
    pub certificate: PathBuf,
    /// SHA-256, as tools show it.
    pub fingerprint: String,
}

/// Finds the authority, or makes it.
///
/// # Errors
/// When it cannot be kept in msctl's folder.
pub fn trust(context: &Context) -> Result<Trust, OpsError> {
    let authority = Authority::open(&context.state_base()?, SystemTime::now())?;
    Ok(Trust { certificate: authority.path().to_owned(), fingerprint: authority.fingerprint() })
}
