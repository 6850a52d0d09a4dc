//! Tokens of an issuer elsewhere, checked with the keys that it publishes (RFC 7517).
//!
//! Less is asked of such a token than of our own, because others write it: `iss`, `sub`, `aud` and
//! `exp` have to be there, scopes may stand in `scope` or `scp`. What makes a token safe is asked all
//! the same: the key decides the algorithm, never the token; secret keys (`HS256`) are no keys here;
//! nothing that a header refers to (`jku`, `x5u`, `jwk`) is followed; what is critical is refused.

use std::collections::BTreeSet;
use std::time::SystemTime;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde::Deserialize;

use super::cache::{Verified, VerifiedTokens};
use super::claims::{Audience, Parties, Window, parse_scopes};
use super::verify::{MAX_TOKEN_BYTES, REMEMBERED_TOKENS};
use crate::model::principal::{Principal, Source, TokenRejection, TokenVerifier};
use crate::model::route::Scope;

/// What a token's `typ` may be: an access token (RFC 9068), or nothing in particular.
const TYPES: [&str; 3] = ["at+jwt", "application/at+jwt", "jwt"];

#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    #[error("it is not a JSON Web Key Set: {0}")]
    NotASet(serde_json::Error),
    #[error("it holds no public key that signs (EdDSA, ES256, ES384, RS256 to RS512, PS256 to PS512)")]
    NoKey,
}

/// Verifies one issuer's tokens.
pub struct ForeignVerifier {
    keys: Vec<Key>,
    parties: Parties,
    verified: VerifiedTokens,
}

struct Key {
    id: Option<String>,
    public: DecodingKey,
    /// Of one family, as the library asks.
    validation: Validation,
}

impl ForeignVerifier {
    /// `document` is a JSON Web Key Set; keys in it that sign nothing are passed over.
    ///
    /// # Errors
    /// When no key is left.
    pub fn new(parties: Parties, document: &[u8]) -> Result<Self, KeySetError> {
        let set: JwkSet = serde_json::from_slice(document).map_err(KeySetError::NotASet)?;
        let keys: Vec<_> = set.keys.iter().filter_map(Key::of).collect();
        if keys.is_empty() {
            return Err(KeySetError::NoKey);
        }
        Ok(Self { keys, parties, verified: VerifiedTokens::with_capacity(REMEMBERED_TOKENS) })
    }

    fn signed_claims(&self, token: &str) -> Result<ForeignClaims, TokenRejection> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenRejection::Malformed);
        }
        let header = decode_header(token).map_err(|_| TokenRejection::Malformed)?;
        if !is_plain(&header) {
            return Err(TokenRejection::Malformed);
        }
        let key = self.key_of(&header).ok_or(TokenRejection::Signature)?;
        let decoded = decode::<ForeignClaims>(token, &key.public, &key.validation);
        decoded.map(|data| data.claims).map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => TokenRejection::Signature,
            ErrorKind::Json(_) => TokenRejection::Claims,
            _ => TokenRejection::Malformed,
        })
    }

    /// The key that the token names; where it names none, the only one there is.
    fn key_of(&self, header: &Header) -> Option<&Key> {
        match &header.kid {
            Some(id) => self.keys.iter().find(|key| key.id.as_ref() == Some(id)),
            None if self.keys.len() == 1 => self.keys.first(),
            None => None,
        }
    }

    /// Past what is remembered, which an accepted token then is.
    fn check(&self, token: &str, now: SystemTime) -> Result<Principal, TokenRejection> {
        let claims = self.signed_claims(token)?;
        let window = Window::new(claims.nbf.unwrap_or(0), claims.exp)?;
        let principal = claims.principal(&self.parties, window, now)?;
        self.verified.insert(token, Verified { principal: principal.clone(), window, verified_at: now });
        Ok(principal)
    }
}

impl TokenVerifier for ForeignVerifier {
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

fn is_plain(header: &Header) -> bool {
    let typ = header.typ.as_deref().map(str::to_ascii_lowercase);
    header.crit.is_none() && typ.is_none_or(|typ| TYPES.contains(&typ.as_str()))
}

impl Key {
    fn of(document: &Jwk) -> Option<Self> {
        let signs =
            document.common.public_key_use.as_ref().is_none_or(|r#use| *r#use == PublicKeyUse::Signature);
        let verifies = |operations: &Vec<KeyOperations>| operations.contains(&KeyOperations::Verify);
        if !signs || !document.common.key_operations.as_ref().is_none_or(verifies) {
            return None;
        }
        let mut algorithms = algorithms_of(&document.algorithm);
        if let Some(only) = document.common.key_algorithm {
            algorithms.retain(|&algorithm| only == algorithm.into());
        }
        let mut validation = Validation::new(*algorithms.first()?);
        validation.algorithms = algorithms;
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let public = DecodingKey::from_jwk(document).ok()?;
        Some(Self { id: document.common.key_id.clone(), public, validation })
    }
}

/// What a key of this kind may sign with.
fn algorithms_of(parameters: &AlgorithmParameters) -> Vec<Algorithm> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    match parameters {
        AlgorithmParameters::RSA(_) => vec![RS256, RS384, RS512, PS256, PS384, PS512],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => vec![ES256],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => vec![ES384],
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => vec![EdDSA],
        _ => Vec::new(),
    }
}

#[derive(Debug, Deserialize)]
struct ForeignClaims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: u64,
    #[serde(default)]
    nbf: Option<u64>,
    #[serde(default)]
    scope: Option<Scopes>,
    #[serde(default)]
    scp: Option<Scopes>,
}

/// One text, as RFC 8693 has it, or a list, as others have it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Scopes {
    Text(String),
    List(Vec<String>),
}

impl ForeignClaims {
    fn principal(
        self,
        parties: &Parties,
        window: Window,
        now: SystemTime,
    ) -> Result<Principal, TokenRejection> {
        if self.iss != parties.issuer || !self.aud.includes(&parties.audience) {
            return Err(TokenRejection::WrongParty);
        }
        window.check(now)?;
        let visible = !self.sub.is_empty() && self.sub.bytes().all(|byte| byte.is_ascii_graphic());
        let scopes = self.scope.or(self.scp).map_or(Some(BTreeSet::new()), Scopes::parsed);
        match scopes {
            // It goes into a header.
            Some(scopes) if visible => {
                Ok(Principal { subject: self.sub, scopes, expires_at: window.expires_at() })
            }
            _ => Err(TokenRejection::Claims),
        }
    }
}

impl Scopes {
    fn parsed(self) -> Option<BTreeSet<Scope>> {
        match self {
            Self::Text(text) => parse_scopes(&text),
            Self::List(list) => list.iter().map(|scope| scope.parse().ok()).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
