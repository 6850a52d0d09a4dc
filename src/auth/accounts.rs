//! What people do with their accounts: register, log in, renew, log out, ask who they are.
//!
//! Speaks of accounts and tokens, not of HTTP: [`super::http`] is one way in, the command line another.
//! Every database call and every hash runs on a blocking thread and runs to its end there, also when
//! the caller gives up: a guess whose connection was cut still counts.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::email::Email;
use super::issue::{IssueError, Signer};
use super::password::{Hasher, PasswordError, check_length};
use super::verify::Verifier;
use crate::model::principal::TokenRejection;
use crate::model::route::Scope;
use crate::store::accounts::{Insertion, StoredAccount};
use crate::store::{Secret, Store, StoreError};

const MAX_NAME_LENGTH: usize = 100;

mod steps;

use steps::Parts;

/// An account, without what proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: String,
    pub name: String,
    pub email: String,
    pub scopes: BTreeSet<Scope>,
    pub created_at: SystemTime,
}

/// What somebody who wants an account gives.
#[derive(Debug, Clone)]
pub struct NewAccount {
    pub name: String,
    pub email: String,
    pub password: Secret,
    pub scopes: BTreeSet<Scope>,
}

#[derive(Debug, Clone)]
pub struct Credentials {
    pub email: String,
    pub password: Secret,
    /// Where the attempt came from, if that is known.
    pub address: Option<IpAddr>,
}

/// What a successful login or renewal gives.
#[derive(Debug, Clone)]
pub struct Tokens {
    pub access: Secret,
    pub refresh: Secret,
    /// Of the access token.
    pub expires_in: Duration,
}

/// What a client shows when it logs out; either ends its session.
#[derive(Debug, Clone, Default)]
pub struct Farewell {
    pub refresh: Option<Secret>,
    pub access: Option<Secret>,
}

/// One field that was not acceptable. The message says what would be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FieldError {
    pub field: &'static str,
    pub message: String,
}

#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("use these values: {}", .0.iter().map(|e| format!("{} {}", e.field, e.message)).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<FieldError>),
    #[error("add the account: another one has this email")]
    EmailTaken,
    /// An unknown account or a wrong password: nobody learns which.
    #[error("log in: no account has this email and password")]
    WrongCredentials,
    #[error("log in: too many failed attempts, try again in {} s", .0.as_secs().max(1))]
    TooManyAttempts(Duration),
    #[error("renew the session: the refresh token is unknown, expired or was used before")]
    SessionOver,
    #[error("verify the token: {0}")]
    Token(#[from] TokenRejection),
    #[error("find the account: it does not exist (any more)")]
    NoAccount,
    #[error("{0}")]
    Password(#[from] PasswordError),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Issue(#[from] IssueError),
    #[error("finish: the work was abandoned ({0})")]
    Abandoned(#[from] tokio::task::JoinError),
}

/// The accounts of one platform.
#[derive(Clone)]
pub struct Accounts {
    parts: Arc<Parts>,
}

impl Accounts {
    #[must_use]
    pub fn new(store: Store, signer: Signer, verifier: Arc<Verifier>) -> Self {
        let hasher = Hasher::default();
        Self { parts: Arc::new(Parts { store, hasher, signer, verifier }) }
    }

    pub async fn register(&self, new: NewAccount, now: SystemTime) -> Result<Account, AccountError> {
        let (name, email) = check(&new)?;
        let slot = self.parts.hasher.slot().await?;
        self.blocking(move |parts| {
            let account = StoredAccount {
                id: Uuid::now_v7().to_string(),
                name,
                email: email.to_string(),
                password_hash: slot.hash(&new.password)?,
                scopes: new.scopes,
                created_at: now,
            };
            match parts.store.insert_account(&account)? {
                Insertion::Added => Ok(account.into()),
                Insertion::EmailTaken => Err(AccountError::EmailTaken),
            }
        })
        .await
    }

    /// Gives tokens for an email and its password. The throttle is asked once a slot is held, so no
    /// more guesses than there are slots can slip past it at once.
    pub async fn log_in(&self, credentials: Credentials, now: SystemTime) -> Result<Tokens, AccountError> {
        // What no account can have is refused without a hash, whoever it is for.
        let email = credentials.email.parse().map_err(|_| AccountError::WrongCredentials)?;
        check_length(&credentials.password).map_err(|_| AccountError::WrongCredentials)?;
        let slot = self.parts.hasher.slot().await?;
        self.blocking(move |parts| {
            let account = parts.authenticate(&slot, &email, &credentials, now)?;
            parts.start_session(&account, now)
        })
        .await
    }

    /// Exchanges a refresh token for new tokens. Presenting one twice ends its session: one of the
    /// two holders is a thief.
    pub async fn renew(&self, refresh: Secret, now: SystemTime) -> Result<Tokens, AccountError> {
        self.blocking(move |parts| parts.renew(&refresh, now)).await
    }

    /// Ends the session that the client shows. Never fails for what it shows. Access tokens made in
    /// that session are not called back: they hold until they expire.
    pub async fn log_out(&self, farewell: Farewell, now: SystemTime) -> Result<(), AccountError> {
        self.blocking(move |parts| parts.end_session(&farewell, now)).await
    }

    /// The account that an access token is about.
    pub async fn who_is(&self, access: Secret, now: SystemTime) -> Result<Account, AccountError> {
        let claims = self.parts.verifier.claims(access.expose(), now)?;
        self.blocking(move |parts| {
            let account = parts.store.account_by_id(&claims.sub)?;
            account.map(Account::from).ok_or(AccountError::NoAccount)
        })
        .await
    }

    /// Every account, by email.
    pub async fn list(&self) -> Result<Vec<Account>, AccountError> {
        self.blocking(|parts| Ok(parts.store.accounts()?.into_iter().map(Account::from).collect())).await
    }

    /// How many passwords were checked so far.
    #[must_use]
    pub fn verifications(&self) -> u64 {
        self.parts.hasher.verifications()
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Parts) -> Result<T, AccountError> + Send + 'static,
    ) -> Result<T, AccountError> {
        let parts = Arc::clone(&self.parts);
        tokio::task::spawn_blocking(move || work(&parts)).await?
    }
}

impl From<StoredAccount> for Account {
    fn from(stored: StoredAccount) -> Self {
        let StoredAccount { id, name, email, scopes, created_at, password_hash: _ } = stored;
        Self { id, name, email, scopes, created_at }
    }
}

fn check(new: &NewAccount) -> Result<(String, Email), AccountError> {
    let name = new.name.trim();
    let name_fits =
        (1..=MAX_NAME_LENGTH).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    let email: Result<Email, _> = new.email.parse();
    let problems = [
        (!name_fits).then(|| ("name", "must have 1 to 100 characters and no control characters".to_owned())),
        email.as_ref().err().map(|error| ("email", error.to_string())),
        check_length(&new.password).err().map(|error| ("password", error.to_string())),
    ];
    match email {
        Ok(email) if problems.iter().all(Option::is_none) => Ok((name.to_owned(), email)),
        _ => {
            let errors = problems.into_iter().flatten().map(|(field, message)| FieldError { field, message });
            Err(AccountError::Invalid(errors.collect()))
        }
    }
}

#[cfg(test)]
mod tests;
