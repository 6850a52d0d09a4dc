//! What the public door proves itself with: certificates and their keys.
//!
//! [`authority`] is a certificate authority of this user's own, which signs for names of this machine
//! and for nothing else; [`local`] asks it for what a platform needs; [`files`] reads certificates that
//! somebody else signed.
//!
//! It does NOT serve anything and trusts nothing on anybody's behalf: putting the authority into the
//! trust store of a system or a browser is for its user to do (`msctl tls trust` says how).

pub mod authority;
pub mod files;
pub mod local;

mod inspect;

use std::sync::Arc;
use std::time::SystemTime;

use rustls::sign::CertifiedKey;

pub use authority::{Authority, AuthorityError};
pub use files::FilesError;

/// A certificate with its chain and its key, and when it ends.
#[derive(Debug, Clone)]
pub struct Credential {
    pub key: Arc<CertifiedKey>,
    pub not_after: SystemTime,
}
