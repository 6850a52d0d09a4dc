//! What an access token says (RFC 9068, section 2.2), and what it has to say to be accepted.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::model::name::PlatformName;
use crate::model::platform::AuthSettings;
use crate::model::principal::{Principal, TokenRejection};
use crate::model::route::Scope;

/// How far the clocks of issuer and verifier may be apart.
pub const LEEWAY: Duration = Duration::from_secs(5);

/// Who issues a platform's tokens, and for whom.
///
/// Both are fixed texts, never made from a request or a port, so that a token means the same inside
/// and outside of containers and after a restart on another port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parties {
    pub issuer: String,
    pub audience: String,
}

impl Parties {
    /// The issuer that the manifest names, else `http://auth.<platform>.localhost`; the audience is
    /// the platform's name.
    #[must_use]
    pub fn new(platform: &PlatformName, settings: &AuthSettings) -> Self {
        let default = || format!("http://auth.{platform}.localhost");
        Self { issuer: settings.issuer.clone().unwrap_or_else(default), audience: platform.to_string() }
    }
}

/// The claims of an access token. Times are whole seconds since 1970; a time of any other type is
/// not a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub sub: String,
    pub aud: Audience,
    pub exp: u64,
    pub iat: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    pub jti: String,
    pub client_id: String,
    #[serde(default)]
    pub scope: String,
    /// The session it was made in, so that logging out can end it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    pub(super) fn includes(&self, party: &str) -> bool {
        match self {
            Self::One(one) => one == party,
            Self::Many(many) => many.iter().any(|one| one == party),
        }
    }
}

impl Claims {
    /// The caller these claims describe, if they hold at `now` between these parties.
    pub fn principal(&self, parties: &Parties, now: SystemTime) -> Result<Principal, TokenRejection> {
        if self.iss != parties.issuer || !self.aud.includes(&parties.audience) {
            return Err(TokenRejection::WrongParty);
        }
        self.window()?.check(now)?;
        if self.sub.is_empty() {
            return Err(TokenRejection::Claims);
        }
        let scopes = parse_scopes(&self.scope).ok_or(TokenRejection::Claims)?;
        Ok(Principal { subject: self.sub.clone(), scopes, expires_at: moment(self.exp)? })
    }

    /// When the token holds.
    pub fn window(&self) -> Result<Window, TokenRejection> {
        let starts = self.nbf.map_or(self.iat, |nbf| nbf.max(self.iat));
        Window::new(starts, self.exp)
    }
}

/// The span of time in which a token holds, give or take [`LEEWAY`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    starts_at: SystemTime,
    expires_at: SystemTime,
}

impl Window {
    /// Both in seconds since 1970.
    pub(super) fn new(starts_at: u64, expires_at: u64) -> Result<Self, TokenRejection> {
        Ok(Self { starts_at: moment(starts_at)?, expires_at: moment(expires_at)? })
    }

    pub(super) fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    pub fn check(&self, now: SystemTime) -> Result<(), TokenRejection> {
        if now.checked_sub(LEEWAY).is_none_or(|latest| self.expires_at <= latest) {
            return Err(TokenRejection::Expired);
        }
        if now + LEEWAY < self.starts_at {
            return Err(TokenRejection::NotYetValid);
        }
        Ok(())
    }
}

/// Scopes as a claim or a header carries them: separated by single spaces.
#[must_use]
pub fn join_scopes(scopes: &BTreeSet<Scope>) -> String {
    scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")
}

pub(super) fn parse_scopes(text: &str) -> Option<BTreeSet<Scope>> {
    text.split(' ').filter(|scope| !scope.is_empty()).map(|scope| scope.parse().ok()).collect()
}

/// Moments beyond what the clock can express are not times.
fn moment(seconds: u64) -> Result<SystemTime, TokenRejection> {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).ok_or(TokenRejection::Claims)
}

/// Whole seconds since 1970, as claims count them.
#[must_use]
pub fn seconds_since_1970(moment: SystemTime) -> u64 {
    moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
