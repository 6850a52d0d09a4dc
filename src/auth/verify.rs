//! The check that every request's token goes through.
//!
//! Strict on purpose: a token is accepted only if its header is, member by member, the one that
//! [`super::issue`] writes. So there is nothing to choose for whoever made the token: no algorithm, no
//! key by reference (`jku`, `x5u`) or by value (`jwk`, `x5c`), no extension (`crit`), no path in a `kid`.

use std::time::SystemTime;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{DecodingKey, Header, Validation, decode, decode_header};

use super::cache::{Verified, VerifiedTokens};
use super::claims::{Claims, Parties};
use super::issue::{Signer, header};
use super::keys::ALGORITHM;
use crate::model::principal::{Principal, Source, TokenRejection, TokenVerifier};

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// How many verified tokens are remembered.
pub(super) const REMEMBERED_TOKENS: usize = 10_000;

/// Verifies one platform's access tokens.
pub struct Verifier {
    key: DecodingKey,
    header: Header,
    parties: Parties,
    validation: Validation,
    verified: VerifiedTokens,
}

impl Verifier {
    #[must_use]
    pub fn new(signer: &Signer) -> Self {
        Self {
            key: signer.key().public().clone(),
            header: header(signer.key()),
            parties: signer.parties().clone(),
            validation: signature_only(),
            verified: VerifiedTokens::with_capacity(REMEMBERED_TOKENS),
        }
    }

    /// The claims of a token that is acceptable at `now`, past the cache.
    pub fn claims(&self, token: &str, now: SystemTime) -> Result<Claims, TokenRejection> {
        let claims = self.signed_claims(token)?;
        claims.principal(&self.parties, now).map(|_| claims)
    }

    fn signed_claims(&self, token: &str) -> Result<Claims, TokenRejection> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenRejection::Malformed);
        }
        let found = decode_header(token).map_err(|_| TokenRejection::Malformed)?;
        if found.kid != self.header.kid {
            return Err(TokenRejection::Signature);
        }
        if found != self.header {
            return Err(TokenRejection::Malformed);
        }
        let decoded = decode::<Claims>(token, &self.key, &self.validation);
        decoded.map(|data| data.claims).map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => TokenRejection::Signature,
            ErrorKind::Json(_) => TokenRejection::Claims,
            _ => TokenRejection::Malformed,
        })
    }

    /// Past what is remembered, which an accepted token then is.
    fn check(&self, token: &str, now: SystemTime) -> Result<Principal, TokenRejection> {
        let claims = self.signed_claims(token)?;
        let principal = claims.principal(&self.parties, now)?;
        let verified = Verified { principal: principal.clone(), window: claims.window()?, verified_at: now };
        self.verified.insert(token, verified);
        Ok(principal)
    }
}

impl TokenVerifier for Verifier {
    fn verify(&self, token: &str, now: SystemTime) -> Result<Principal, TokenRejection> {
        self.recall(token, now).0
    }

    fn recall(&self, token: &str, now: SystemTime) -> (Result<Principal, TokenRejection>, Source) {
        match self.verified.get(token, now) {
            Some(hit) => (hit.window.check(now).map(|()| hit.principal), Source::Memory),
            None => (self.check(token, now), Source::Check),
        }
    }
}

/// The library checks the signature; the claims are checked by [`Claims`], against the caller's
/// clock and with types that leave no claim optional.
fn signature_only() -> Validation {
    let mut validation = Validation::new(ALGORITHM);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

#[cfg(test)]
mod tests;
