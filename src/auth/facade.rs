//! A platform's auth as one value: what the composition root opens and hands out.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::accounts::{Account, AccountError, Accounts, NewAccount};
use super::http;
use super::inspect::{Inspection, inspect};
use super::issue::{IssueError, Signer, TokenRequest};
use super::keys::KeyError;
use super::verify::Verifier;
use crate::model::name::{PlatformName, ServiceName};
use crate::model::platform::AuthSettings;
use crate::model::principal::TokenVerifier;
use crate::store::{Secret, Store, StoreError};

const DATABASE: &str = "accounts.db";

/// What auth is opened with.
#[derive(Debug, Clone, Copy)]
pub struct AuthOptions<'a> {
    /// Auth's own folder; made with mode 0700. Key and accounts live in it, and nothing else should.
    pub folder: &'a Path,
    pub platform: &'a PlatformName,
    pub settings: &'a AuthSettings,
}

#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    #[error("{0}")]
    Key(#[from] KeyError),
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Deletes every account and session of a platform, for good; its key stays, so that services need
/// not learn a new one. Says whether there were any.
pub fn delete_accounts(folder: &Path) -> Result<bool, AuthError> {
    Ok(Store::delete(&folder.join(DATABASE))?)
}

/// Keys, tokens and accounts of one platform.
pub struct Auth {
    signer: Signer,
    verifier: Arc<Verifier>,
    accounts: Accounts,
    quarantined: Option<PathBuf>,
}

impl Auth {
    /// Opens what is in the folder, or makes it. Blocks for a few file operations.
    ///
    /// To sign a token and nothing more, [`Signer::open`] is enough and needs no database.
    pub fn open(options: AuthOptions<'_>) -> Result<Self, AuthError> {
        let signer = Signer::open(options.folder, options.platform, options.settings)?;
        let store = Store::open(&options.folder.join(DATABASE))?;
        let quarantined = store.quarantined().map(Path::to_owned);
        if let Some(aside) = &quarantined {
            tracing::warn!(path = %aside.display(), "the account database was damaged: set aside, started afresh");
        }
        let verifier = Arc::new(Verifier::new(&signer));
        let accounts = Accounts::new(store, signer.clone(), Arc::clone(&verifier));
        Ok(Self { signer, verifier, accounts, quarantined })
    }

    /// Where a damaged account database was put, if one was found: its accounts are not known any
    /// more, and whoever runs the platform must be told.
    #[must_use]
    pub fn quarantined(&self) -> Option<&Path> {
        self.quarantined.as_deref()
    }

    /// The gateway's check.
    #[must_use]
    pub fn verifier(&self) -> Arc<dyn TokenVerifier> {
        Arc::clone(&self.verifier) as Arc<dyn TokenVerifier>
    }

    /// `/auth/*` and `/.well-known/jwks.json`; see [`http`].
    pub fn router(&self) -> axum::Router {
        http::router(self.accounts.clone(), self.signer.key().jwks())
    }

    /// What signs its tokens.
    #[must_use]
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The `iss` and `aud` of every token, for services that verify tokens themselves.
    #[must_use]
    pub fn parties(&self) -> &super::claims::Parties {
        self.signer.parties()
    }

    pub fn issue(&self, request: &TokenRequest) -> Result<Secret, IssueError> {
        self.signer.issue(request, SystemTime::now())
    }

    /// `MSCTL_TOKEN` of an instance of `service`.
    pub fn service_token(&self, service: &ServiceName) -> Result<Secret, IssueError> {
        self.signer.service_token(service, SystemTime::now())
    }

    /// What a token says, and whether the gateway would accept it.
    #[must_use]
    pub fn inspect(&self, token: &str) -> Inspection {
        inspect(token, Some(&self.verifier), SystemTime::now())
    }

    /// Adds an account, with whatever scopes it is to have.
    pub async fn add_account(&self, new: NewAccount) -> Result<Account, AccountError> {
        self.accounts.register(new, SystemTime::now()).await
    }

    /// Every account, by email.
    pub async fn list_accounts(&self) -> Result<Vec<Account>, AccountError> {
        self.accounts.list().await
    }
}
