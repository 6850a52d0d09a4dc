//! Who calls, once a token has been verified.

use std::collections::BTreeSet;
use std::time::SystemTime;

use super::route::Scope;

/// A verified caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The token's `sub`: an account's id, or `service:<name>`.
    pub subject: String,
    pub scopes: BTreeSet<Scope>,
    pub expires_at: SystemTime,
}

/// Why a token was not accepted. The text is safe to show to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRejection {
    #[error("the token is not a signed JWT of this platform")]
    Malformed,
    #[error("the token was signed by an unknown key or its signature does not match")]
    Signature,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token was issued by another issuer, or for another audience")]
    WrongParty,
    #[error("the token lacks a required claim, or one is of the wrong type")]
    Claims,
}

/// Where it is known from what a token is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It was verified before.
    Memory,
    /// It was looked at now.
    Check,
}

/// Checks access tokens locally, without a hop. Implemented by `auth`, used by `gateway`: neither
/// knows the other.
pub trait TokenVerifier: Send + Sync {
    /// # Errors
    /// Why the token is not accepted.
    fn verify(&self, token: &str, now: SystemTime) -> Result<Principal, TokenRejection>;

    /// The same, and where that is known from, for whoever counts.
    fn recall(&self, token: &str, now: SystemTime) -> (Result<Principal, TokenRejection>, Source) {
        (self.verify(token, now), Source::Check)
    }
}
