//! What people do with their accounts: register, log in, renew, log out, ask who they are.
//!
//! Speaks of accounts and tokens, not of HTTP: [`super::http`] is one way in, the command line another.
//! Every database call and every hash runs on a blocking thread and runs to its end there, also when
//! the caller gives up: a guess whose connection was cut still counts.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::base64;
use super::email::Email;
use super::issue::{IssueError, Signer, TokenRequest};
use super::password::{Hasher, PasswordError, Slot, check_length};
use super::random::random_bytes;
use super::throttle::Attempt;
use super::verify::Verifier;
use crate::model::principal::TokenRejection;
use crate::model::route::Scope;
use crate::store::accounts::{Insertion, StoredAccount};
use crate::store::sessions::{NewSession, Rotation, TokenHash};
use crate::store::{Secret, Store, StoreError};

/// A session ends when it was not renewed for this long …
const SESSION_IDLE: Duration = Duration::from_secs(8 * 3600);
/// … and in any case after this long.
const SESSION_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

const MAX_NAME_LENGTH: usize = 100;

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

struct Parts {
    store: Store,
    hasher: Hasher,
    signer: Signer,
    verifier: Arc<Verifier>,
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
        self.blocking(move |parts| {
            if let Some(refresh) = &farewell.refresh {
                parts.store.end_session_of(&token_hash(refresh))?;
            }
            let access = farewell.access.and_then(|access| parts.verifier.claims(access.expose(), now).ok());
            if let Some(session) = access.and_then(|claims| claims.sid) {
                parts.store.end_session(&session)?;
            }
            Ok(())
        })
        .await
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

impl Parts {
    fn authenticate(
        &self,
        slot: &Slot,
        email: &Email,
        credentials: &Credentials,
        now: SystemTime,
    ) -> Result<StoredAccount, AccountError> {
        let attempt = Attempt::new(email, credentials.address);
        if let Some(wait) = attempt.wait(&self.store, now)? {
            return Err(AccountError::TooManyAttempts(wait));
        }
        let account = self.store.account_by_email(email.as_str())?;
        let hash = account.as_ref().map(|account| &account.password_hash);
        if !slot.verify(&credentials.password, hash) {
            attempt.failed(&self.store, now)?;
            return Err(AccountError::WrongCredentials);
        }
        attempt.succeeded(&self.store)?;
        account.ok_or(AccountError::WrongCredentials)
    }

    fn start_session(&self, account: &StoredAccount, now: SystemTime) -> Result<Tokens, AccountError> {
        let refresh = new_refresh_token();
        let session = NewSession {
            id: Uuid::new_v4().to_string(),
            account_id: account.id.clone(),
            first_token: token_hash(&refresh),
            usable_until: now + SESSION_IDLE,
            ends_at: now + SESSION_LIFETIME,
        };
        self.store.start_session(&session, now)?;
        self.tokens(account, session.id, refresh, now)
    }

    fn renew(&self, presented: &Secret, now: SystemTime) -> Result<Tokens, AccountError> {
        let refresh = new_refresh_token();
        let (presented, next) = (token_hash(presented), token_hash(&refresh));
        match self.store.rotate_token(&presented, &next, SESSION_IDLE, now)? {
            Rotation::Rotated { session_id, account_id } => {
                let account = self.store.account_by_id(&account_id)?.ok_or(AccountError::SessionOver)?;
                self.tokens(&account, session_id, refresh, now)
            }
            Rotation::Reused { account_id } => {
                tracing::warn!(account_id, "a refresh token was used twice: its session was ended");
                Err(AccountError::SessionOver)
            }
            Rotation::Unknown => Err(AccountError::SessionOver),
        }
    }

    fn tokens(
        &self,
        account: &StoredAccount,
        session: String,
        refresh: Secret,
        now: SystemTime,
    ) -> Result<Tokens, AccountError> {
        let request = TokenRequest {
            scopes: account.scopes.clone(),
            session: Some(session),
            ..TokenRequest::for_subject(account.id.clone())
        };
        let access = self.signer.issue(&request, now)?;
        Ok(Tokens { access, refresh, expires_in: self.signer.lifetime() })
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

/// 256 random bits. Nothing can be read from it and it is kept as a digest only.
fn new_refresh_token() -> Secret {
    Secret::new(base64::encode(base64::URL_SAFE, &random_bytes()))
}

/// A plain digest is enough: there is nothing to guess in 256 random bits.
fn token_hash(token: &Secret) -> TokenHash {
    Sha256::digest(token.expose()).into()
}

#[cfg(test)]
mod tests;
