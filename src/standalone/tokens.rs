//! Whose tokens count: the keys of one issuer, read anew as it replaces them.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio::net::lookup_host;

use crate::auth::claims::Parties;
use crate::auth::foreign::{ForeignVerifier, KeySetError};
use crate::model::principal::{Principal, Source, TokenRejection, TokenVerifier};
use crate::model::standalone::{EndpointUrl, KeySource, TokenSettings};
use crate::probe;

const PATIENCE: Duration = Duration::from_secs(5);
/// More than any issuer publishes.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("read the keys in {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("use the keys in {}: {source}", path.display())]
    File { path: PathBuf, source: KeySetError },
    #[error("use the keys at {url}{path}: {source}")]
    Fetched { url: EndpointUrl, path: String, source: KeySetError },
    #[error("fetch the keys at {url}{path}: {reason}")]
    Unreachable { url: EndpointUrl, path: String, reason: String },
}

/// Verifies by whichever keys were set last; before that, nobody's token counts.
#[derive(Default)]
pub struct Tokens(RwLock<Option<Arc<ForeignVerifier>>>);

impl Tokens {
    pub fn set(&self, verifier: Option<ForeignVerifier>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = verifier.map(Arc::new);
    }
}

impl TokenVerifier for Tokens {
    fn verify(&self, token: &str, now: SystemTime) -> Result<Principal, TokenRejection> {
        self.recall(token, now).0
    }

    fn recall(&self, token: &str, now: SystemTime) -> (Result<Principal, TokenRejection>, Source) {
        let verifier = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        match verifier {
            Some(verifier) => verifier.recall(token, now),
            None => (Err(TokenRejection::Signature), Source::Check),
        }
    }
}

/// The verifier that follows from what stands there now.
///
/// # Errors
/// When it cannot be had, or holds no key.
pub async fn load(settings: &TokenSettings) -> Result<ForeignVerifier, KeysError> {
    let parties = Parties { issuer: settings.issuer.clone(), audience: settings.audience.clone() };
    match &settings.keys {
        KeySource::File(path) => {
            let document = read(path).await;
            let document = document.map_err(|source| KeysError::Unreadable { path: path.clone(), source })?;
            ForeignVerifier::new(parties, &document)
                .map_err(|source| KeysError::File { path: path.clone(), source })
        }
        KeySource::Url(url, path) => {
            let (at, path) = (url.clone(), path.clone());
            let document = fetch(url, &path).await.map_err(|reason| KeysError::Unreachable {
                url: at.clone(),
                path: path.clone(),
                reason,
            })?;
            ForeignVerifier::new(parties, &document).map_err(|source| KeysError::Fetched {
                url: at,
                path,
                source,
            })
        }
    }
}

async fn read(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    use tokio::io::AsyncReadExt;
    let mut document = Vec::new();
    tokio::fs::File::open(path).await?.take(MAX_BYTES).read_to_end(&mut document).await?;
    Ok(document)
}

async fn fetch(url: &EndpointUrl, path: &str) -> Result<Vec<u8>, String> {
    let found = lookup_host((url.host.as_str(), url.port)).await.map_err(|error| error.to_string())?;
    let mut last = "the name has no address".to_owned();
    for address in found {
        match probe::fetch(address, &url.host, path, PATIENCE, MAX_BYTES).await {
            Ok(document) => return Ok(document),
            Err(reason) => last = reason,
        }
    }
    Err(last)
}
