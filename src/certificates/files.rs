//! A certificate that somebody else signed, with its key, as two PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::{Credential, inspect};

/// Larger files are none of these.
const LARGEST: u64 = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    #[error("read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("read {}: it is larger than any certificate or key", path.display())]
    TooLarge { path: PathBuf },
    #[error("use the certificate {}: it holds no \"BEGIN CERTIFICATE\"", path.display())]
    NoCertificate { path: PathBuf },
    #[error("use the certificate {}: it is damaged", path.display())]
    Damaged { path: PathBuf },
    #[error("use the certificate {}: it ended at {}", path.display(), humantime::format_rfc3339_seconds(*at))]
    Expired { path: PathBuf, at: SystemTime },
    #[error("use the key {}: it holds no \"BEGIN PRIVATE KEY\"", path.display())]
    NoKey { path: PathBuf },
    #[error("use the key {}: it is encrypted", path.display())]
    Encrypted { path: PathBuf },
    #[error("use the key {}: {source}", path.display())]
    Key { path: PathBuf, source: rustls::Error },
    #[error("use the key {}: it does not belong to the certificate {}", key.display(), certificate.display())]
    Mismatch { certificate: PathBuf, key: PathBuf },
}

impl FilesError {
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreadable { .. } | Self::TooLarge { .. } => {
                Some("tls in [gateway] of msctl.toml names both files, relative to its folder".to_owned())
            }
            Self::NoCertificate { .. } | Self::Damaged { .. } => {
                Some("write the server's certificate first, then those that signed it, all as PEM".to_owned())
            }
            Self::Expired { .. } => Some("renew it, or write tls = \"local\"".to_owned()),
            Self::NoKey { path } => {
                Some(format!("convert it with: openssl pkcs8 -topk8 -nocrypt -in {}", path.display()))
            }
            Self::Encrypted { path } => Some(format!("decrypt it with: openssl pkey -in {}", path.display())),
            Self::Key { .. } => {
                Some("RSA from 2048 bits, ECDSA (P-256, P-384) and Ed25519 are understood".to_owned())
            }
            Self::Mismatch { .. } => Some("name the key that the certificate was asked for with".to_owned()),
        }
    }
}

/// Reads both files and sees that they fit together and are still good.
///
/// # Errors
/// With the file that is at fault, and why.
pub fn load(certificate: &Path, key: &Path, now: SystemTime) -> Result<Credential, FilesError> {
    let chain = read_chain(certificate)?;
    let path = || certificate.to_owned();
    let facts = chain
        .first()
        .and_then(|first| inspect::facts(first))
        .ok_or_else(|| FilesError::Damaged { path: path() })?;
    if facts.not_after <= now {
        return Err(FilesError::Expired { path: path(), at: facts.not_after });
    }
    let certified = CertifiedKey::from_der(chain, read_key(key)?, &default_provider());
    let certified = certified.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            FilesError::Mismatch { certificate: path(), key: key.to_owned() }
        }
        rustls::Error::InvalidCertificate(_) => FilesError::Damaged { path: path() },
        source => FilesError::Key { path: key.to_owned(), source },
    })?;
    Ok(Credential { key: Arc::new(certified), not_after: facts.not_after })
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, FilesError> {
    let text = read(path)?;
    let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(FilesError::NoCertificate { path: path.to_owned() }),
        Ok(chain) => Ok(chain),
        Err(_) => Err(FilesError::Damaged { path: path.to_owned() }),
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, FilesError> {
    let text = read(path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
        let encrypted = String::from_utf8_lossy(&text).contains("BEGIN ENCRYPTED PRIVATE KEY");
        let path = path.to_owned();
        if encrypted { FilesError::Encrypted { path } } else { FilesError::NoKey { path } }
    })
}

fn read(path: &Path) -> Result<Vec<u8>, FilesError> {
    let unreadable = |source| FilesError::Unreadable { path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        // To read a pipe is to wait for whoever writes to it.
        return Err(unreadable(std::io::Error::other("not a regular file")));
    }
    if metadata.len() > LARGEST {
        return Err(FilesError::TooLarge { path: path.to_owned() });
    }
    std::fs::read(path).map_err(unreadable)
}

#[cfg(test)]
mod tests;
