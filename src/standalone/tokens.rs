//! Whose tokens count: the keys of one issuer, read anew as it replaces them.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::auth::claims::Parties;
use crate::auth::foreign::{ForeignVerifier, KeySetError};
use crate::model::principal::{Principal, Source, TokenRejection, TokenVerifier};
use crate::model::standalone::{EndpointUrl, KeySource, TokenSettings};
use crate::probe;

/// For the name and all of its addresses together.
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
pub struct Tokens(RwLock<Option<Arc<KeySet>>>);

/// An issuer's keys, and which of its tokens were found to be good.
pub struct KeySet {
    parties: Parties,
    document: Vec<u8>,
    verifier: ForeignVerifier,
}

impl KeySet {
    /// # Errors
    /// When there is no key in it.
    pub fn new(parties: Parties, document: Vec<u8>) -> Result<Self, KeySetError> {
        Ok(Self { verifier: ForeignVerifier::new(parties.clone(), &document)?, parties, document })
    }

    fn is_same(&self, other: &Self) -> bool {
        (&self.parties, &self.document) == (&other.parties, &other.document)
    }
}

impl Tokens {
    /// The same keys again change nothing: what was found out with them stays known.
    pub fn set(&self, keys: Option<Arc<KeySet>>) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match (&*held, &keys) {
            (Some(known), Some(keys)) if known.is_same(keys) => {}
            _ => *held = keys,
        }
    }
}

impl TokenVerifier for Tokens {
    fn verify(&self, token: &str, now: SystemTime) -> Result<Principal, TokenRejection> {
        self.recall(token, now).0
    }

    fn recall(&self, token: &str, now: SystemTime) -> (Result<Principal, TokenRejection>, Source) {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        match keys {
            Some(keys) => keys.verifier.recall(token, now),
            None => (Err(TokenRejection::Signature), Source::Check),
        }
    }
}

/// The keys that stand there now.
///
/// # Errors
/// When it cannot be had, or holds no key.
pub async fn load(settings: &TokenSettings) -> Result<KeySet, KeysError> {
    let parties = Parties { issuer: settings.issuer.clone(), audience: settings.audience.clone() };
    match &settings.keys {
        KeySource::File(path) => {
            let document = read(path).await;
            let document = document.map_err(|source| KeysError::Unreadable { path: path.clone(), source })?;
            KeySet::new(parties, document).map_err(|source| KeysError::File { path: path.clone(), source })
        }
        KeySource::Url(url, path) => {
            let (at, path) = (url.clone(), path.clone());
            let document = fetch(url, &path).await.map_err(|reason| KeysError::Unreachable {
                url: at.clone(),
                path: path.clone(),
                reason,
            })?;
            KeySet::new(parties, document).map_err(|source| KeysError::Fetched { url: at, path, source })
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
    let late = |_| Err(format!("no answer within {}", humantime::format_duration(PATIENCE)));
    timeout(PATIENCE, fetch_from_any(url, path)).await.unwrap_or_else(late)
}

async fn fetch_from_any(url: &EndpointUrl, path: &str) -> Result<Vec<u8>, String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(audience: &str, id: &str) -> Arc<KeySet> {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let document = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"{id}","x":"{x}"}}]}}"#);
        let parties = Parties { issuer: "https://issuer".to_owned(), audience: audience.to_owned() };
        Arc::new(KeySet::new(parties, document.into_bytes()).unwrap())
    }

    #[test]
    fn the_same_keys_again_keep_what_is_known_of_tokens() {
        let tokens = Tokens::default();
        let held = || tokens.0.read().unwrap().as_ref().map_or(std::ptr::null(), Arc::as_ptr);
        tokens.set(Some(fresh("shop", "a")));
        let first = held();
        tokens.set(Some(fresh("shop", "a")));
        assert_eq!(held(), first);
        tokens.set(Some(fresh("shop", "b")));
        assert_eq!(tokens.0.read().unwrap().as_ref().unwrap().document, fresh("shop", "b").document);
        tokens.set(Some(fresh("bank", "b")));
        assert_eq!(tokens.0.read().unwrap().as_ref().unwrap().parties.audience, "bank");
        tokens.set(None);
        assert!(held().is_null());
    }
}
