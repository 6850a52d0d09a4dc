//! What listeners prove themselves with: the local authority's word, or somebody else's in files.

use std::path::PathBuf;
use std::time::SystemTime;

use crate::certificates::{Authority, AuthorityError, Credential, FilesError, files, local};
use crate::model::platform::{GatewaySettings, TlsSettings};
use crate::model::standalone::Configuration;

#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error("use the local authority: no folder is known to keep it in")]
    NoFolder,
    #[error("read certificates: {0}")]
    Ended(#[from] tokio::task::JoinError),
}

impl CertificateError {
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Files(error) => error.hint(),
            Self::NoFolder => Some("set MSCTL_STATE_DIR to a folder that you may write to".to_owned()),
            Self::Authority(_) | Self::Ended(_) => None,
        }
    }
}

/// One for each listener, `None` for those in clear. The authority is kept below `base`.
///
/// # Errors
/// When one of them cannot be had.
pub async fn load(
    configuration: &Configuration,
    base: Option<PathBuf>,
) -> Result<Vec<Option<Credential>>, CertificateError> {
    if configuration.listeners.iter().all(|listener| listener.tls == TlsSettings::Off) {
        return Ok(vec![None; configuration.listeners.len()]);
    }
    let routes = configuration.services.iter().flat_map(|service| &service.routes);
    let names = local::names_of(routes, configuration.listeners.iter().map(|listener| listener.listen.ip()));
    let listeners = configuration.listeners.clone();
    // It reads files, and signs.
    let loading = tokio::task::spawn_blocking(move || {
        let load = |listener: &GatewaySettings| load_one(&listener.tls, base.as_ref(), &names);
        listeners.iter().map(load).collect()
    });
    loading.await?
}

/// Reads the files, and leaves the local authority alone: to ask it may mean to make it.
///
/// # Errors
/// When one of them cannot be used.
pub async fn check(configuration: &Configuration) -> Result<(), CertificateError> {
    let mut files = configuration.clone();
    files.listeners.retain(|listener| listener.tls != TlsSettings::Local);
    load(&files, None).await.map(drop)
}

fn load_one(
    settings: &TlsSettings,
    base: Option<&PathBuf>,
    names: &[String],
) -> Result<Option<Credential>, CertificateError> {
    let now = SystemTime::now();
    match settings {
        TlsSettings::Off => Ok(None),
        TlsSettings::Local => {
            let authority = Authority::open(base.ok_or(CertificateError::NoFolder)?, now)?;
            Ok(Some(authority.issue(names.to_vec(), now)?))
        }
        TlsSettings::Files { certificate, key } => Ok(Some(files::load(certificate, key, now)?)),
    }
}
