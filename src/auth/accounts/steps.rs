//! The steps that block: each runs on a blocking thread, from its first line to its last.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{AccountError, Credentials, Farewell, Tokens};
use crate::auth::base64;
use crate::auth::email::Email;
use crate::auth::issue::{Signer, TokenRequest};
use crate::auth::password::{Hasher, Slot};
use crate::auth::random::random_bytes;
use crate::auth::throttle::Attempt;
use crate::auth::verify::Verifier;
use crate::store::accounts::StoredAccount;
use crate::store::sessions::{NewSession, Rotation, TokenHash};
use crate::store::{Secret, Store};

/// A session ends when it was not renewed for this long …
const SESSION_IDLE: Duration = Duration::from_secs(8 * 3600);
/// … and in any case after this long.
const SESSION_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

pub(super) struct Parts {
    pub(super) store: Store,
    pub(super) hasher: Hasher,
    pub(super) signer: Signer,
    pub(super) verifier: Arc<Verifier>,
}

impl Parts {
    pub(super) fn authenticate(
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

    pub(super) fn start_session(
        &self,
        account: &StoredAccount,
        now: SystemTime,
    ) -> Result<Tokens, AccountError> {
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

    pub(super) fn renew(&self, presented: &Secret, now: SystemTime) -> Result<Tokens, AccountError> {
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

    pub(super) fn end_session(&self, farewell: &Farewell, now: SystemTime) -> Result<(), AccountError> {
        if let Some(refresh) = &farewell.refresh {
            self.store.end_session_of(&token_hash(refresh))?;
        }
        let access =
            farewell.access.as_ref().and_then(|token| self.verifier.claims(token.expose(), now).ok());
        if let Some(session) = access.and_then(|claims| claims.sid) {
            self.store.end_session(&session)?;
        }
        Ok(())
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

/// 256 random bits. Nothing can be read from it and it is kept as a digest only.
fn new_refresh_token() -> Secret {
    Secret::new(base64::encode(base64::URL_SAFE, &random_bytes()))
}

/// A plain digest is enough: there is nothing to guess in 256 random bits.
fn token_hash(token: &Secret) -> TokenHash {
    Sha256::digest(token.expose()).into()
}
