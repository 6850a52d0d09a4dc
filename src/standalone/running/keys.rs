//! The keys that tokens are checked with: had anew from time to time, and soon where they are missing.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Running;
use crate::model::standalone::{Configuration, KeySource};
use crate::standalone::error::StandaloneError;
use crate::standalone::tokens::{self, KeySet};

/// How often keys are fetched again, and how soon where there are none yet.
const KEYS: Duration = Duration::from_secs(300);
const MISSING_KEYS: Duration = Duration::from_secs(2);

pub(super) enum Keys {
    These(Option<Arc<KeySet>>),
    AsBefore,
}

impl Running {
    /// A file has to be there. An issuer may be away for a while: nothing else has to wait for it.
    pub(super) async fn keys_of(&self, configuration: &Configuration) -> Result<Keys, StandaloneError> {
        let Some(settings) = &configuration.auth else { return Ok(Keys::These(None)) };
        match (tokens::load(settings).await, &settings.keys) {
            (Ok(keys), _) => Ok(Keys::These(Some(Arc::new(keys)))),
            (Err(error), KeySource::File(_)) => Err(error.into()),
            (Err(error), KeySource::Url(..)) => {
                tracing::warn!("failed to {error}");
                let same = self.configuration.auth == configuration.auth && self.fetch_keys_at.is_some();
                Ok(if same { Keys::AsBefore } else { Keys::These(None) })
            }
        }
    }

    pub(super) fn take_keys(&mut self, keys: Option<Arc<KeySet>>, configuration: &Configuration) {
        let missing = keys.is_none() && configuration.auth.is_some();
        self.tokens.set(keys);
        self.status.misses_keys(missing);
        let source = configuration.auth.as_ref().map(|settings| &settings.keys);
        let pause = if missing { MISSING_KEYS } else { KEYS };
        self.fetch_keys_at = matches!(source, Some(KeySource::Url(..))).then(|| Instant::now() + pause);
    }

    pub(super) async fn fetch_keys(&mut self) {
        let configuration = self.configuration.clone();
        if let Ok(Keys::These(Some(keys))) = self.keys_of(&configuration).await {
            self.take_keys(Some(keys), &configuration);
        } else {
            let pause = if self.report().keys_missing { MISSING_KEYS } else { KEYS };
            self.fetch_keys_at = Some(Instant::now() + pause);
        }
    }
}
