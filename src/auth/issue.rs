//! Signing tokens. Needs the key's file and nothing else: no database, no network.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use jsonwebtoken::Header;
use uuid::Uuid;

use super::claims::{Audience, Claims, Parties, join_scopes, seconds_since_1970};
use super::keys::{ALGORITHM, KeyError, SigningKey};
use crate::model::name::{PlatformName, ServiceName};
use crate::model::platform::AuthSettings;
use crate::model::route::Scope;
use crate::store::Secret;

/// The `typ` that tells an access token from every other JWT (RFC 9068, section 2.1).
pub const TOKEN_TYPE: &str = "at+jwt";

/// How long a service's own token holds. The platform gives each new instance its own.
pub const SERVICE_TOKEN_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// What a token is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// An account's id, or any name that a developer wants to test with.
    pub subject: String,
    pub scopes: BTreeSet<Scope>,
    /// `None` for the platform's `access_token_ttl`.
    pub lifetime: Option<Duration>,
    /// `None` for the platform itself.
    pub audience: Option<String>,
    /// The program it is made for.
    pub client: String,
    /// The session it belongs to.
    pub session: Option<String>,
}

impl TokenRequest {
    /// A token without scopes, as `msctl token issue` makes it.
    #[must_use]
    pub fn for_subject(subject: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            scopes: BTreeSet::new(),
            lifetime: None,
            audience: None,
            client: "msctl".to_owned(),
            session: None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    #[error("issue a token: its subject is empty")]
    EmptySubject,
    #[error("issue a token: it would expire at once; hint: give it a lifetime of a second or more")]
    NoLifetime,
    #[error("sign a token: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// Signs a platform's tokens.
#[derive(Clone)]
pub struct Signer {
    key: SigningKey,
    parties: Parties,
    lifetime: Duration,
}

impl Signer {
    /// Loads the signing key in `folder`, or makes it.
    pub fn open(folder: &Path, platform: &PlatformName, settings: &AuthSettings) -> Result<Self, KeyError> {
        Ok(Self {
            key: SigningKey::open(folder)?,
            parties: Parties::new(platform, settings),
            lifetime: settings.access_token_ttl,
        })
    }

    #[must_use]
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    #[must_use]
    pub fn parties(&self) -> &Parties {
        &self.parties
    }

    /// How long a token holds whose request does not say.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    pub fn issue(&self, request: &TokenRequest, now: SystemTime) -> Result<Secret, IssueError> {
        let claims = self.claims(request, now)?;
        let token = jsonwebtoken::encode(&header(&self.key), &claims, self.key.private())?;
        Ok(Secret::new(token))
    }

    /// The token by which a service proves to the platform that it is `service`.
    pub fn service_token(&self, service: &ServiceName, now: SystemTime) -> Result<Secret, IssueError> {
        let subject = format!("service:{service}");
        let request = TokenRequest {
            lifetime: Some(SERVICE_TOKEN_LIFETIME),
            client: service.to_string(),
            ..TokenRequest::for_subject(subject)
        };
        self.issue(&request, now)
    }

    fn claims(&self, request: &TokenRequest, now: SystemTime) -> Result<Claims, IssueError> {
        let lifetime = request.lifetime.unwrap_or(self.lifetime).as_secs();
        if request.subject.is_empty() {
            return Err(IssueError::EmptySubject);
        }
        if lifetime == 0 {
            return Err(IssueError::NoLifetime);
        }
        let issued_at = seconds_since_1970(now);
        Ok(Claims {
            iss: self.parties.issuer.clone(),
            sub: request.subject.clone(),
            aud: Audience::One(request.audience.clone().unwrap_or_else(|| self.parties.audience.clone())),
            exp: issued_at.saturating_add(lifetime),
            iat: issued_at,
            nbf: None,
            jti: Uuid::new_v4().to_string(),
            client_id: request.client.clone(),
            scope: join_scopes(&request.scopes),
            sid: request.session.clone(),
        })
    }
}

/// The one header that tokens of `key` have.
pub(super) fn header(key: &SigningKey) -> Header {
    let mut header = Header::new(ALGORITHM);
    header.typ = Some(TOKEN_TYPE.to_owned());
    header.kid = Some(key.id().to_owned());
    header
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::auth::inspect::inspect;

    fn signer(folder: &Path) -> Signer {
        let settings = AuthSettings { access_token_ttl: Duration::from_secs(900), issuer: None };
        Signer::open(&folder.join("auth"), &"store".parse().unwrap(), &settings).unwrap()
    }

    #[test]
    fn a_token_says_what_rfc_9068_asks_for() {
        let scratch = tempfile::tempdir().unwrap();
        let signer = signer(scratch.path());
        let now = SystemTime::now();
        let request = TokenRequest {
            scopes: ["orders:write", "admin"].map(|scope| scope.parse().unwrap()).into(),
            ..TokenRequest::for_subject("ada")
        };
        let seen = inspect(signer.issue(&request, now).unwrap().expose(), None, now);
        assert_eq!(seen.header.unwrap(), json!({"typ": "at+jwt", "alg": "EdDSA", "kid": signer.key().id()}));
        let mut claims = seen.claims.unwrap();
        let id = claims.as_object_mut().unwrap().remove("jti").unwrap();
        assert_eq!(id.as_str().unwrap().len(), 36);
        let issued_at = seconds_since_1970(now);
        let expected = json!({
            "iss": "http://auth.store.localhost", "sub": "ada", "aud": "store", "client_id": "msctl",
            "iat": issued_at, "exp": issued_at + 900, "scope": "admin orders:write",
        });
        assert_eq!(claims, expected);
    }

    #[test]
    fn a_service_is_named_as_one() {
        let scratch = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let token = signer(scratch.path()).service_token(&"order".parse().unwrap(), now).unwrap();
        assert_eq!(inspect(token.expose(), None, now).claims.unwrap()["sub"], "service:order");
    }

    #[test]
    fn a_token_about_nobody_or_for_no_time_is_not_issued() {
        let scratch = tempfile::tempdir().unwrap();
        let signer = signer(scratch.path());
        let nobody = TokenRequest::for_subject("");
        assert!(matches!(signer.issue(&nobody, SystemTime::now()), Err(IssueError::EmptySubject)));
        let brief = TokenRequest { lifetime: Some(Duration::ZERO), ..TokenRequest::for_subject("ada") };
        assert!(matches!(signer.issue(&brief, SystemTime::now()), Err(IssueError::NoLifetime)));
    }
}
