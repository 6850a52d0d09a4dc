//! How fast a client may be: what it is counted under, and what it is told.
//!
//! Whoever can be counted without knowing who it is, is counted before any token is looked at: to
//! verify one costs more than everything else, and nothing keeps a forged one from being sent.

use std::net::IpAddr;
use std::time::Instant;

use http::{HeaderMap, HeaderName};

use super::destination::Way;
use super::policy::canary::cookies;
use super::policy::limiter::{Answer, Key, Verdict};
use super::problem::Problem;
use crate::model::principal::Principal;
use crate::model::traffic::RequestKey;

/// Who asks, as far as limits and consistent hashing care.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'r> {
    pub(super) client: IpAddr,
    pub(super) principal: Option<&'r Principal>,
    pub(super) headers: &'r HeaderMap,
}

impl<'r> Asker<'r> {
    /// Where a request lacks what its key is made of, the client's address stands in for it.
    pub(super) fn key(&self, of: &RequestKey) -> Key<'r> {
        let client = Key::Client(self.client);
        match of {
            RequestKey::Client => client,
            RequestKey::Everyone => Key::Everyone,
            RequestKey::Subject => {
                self.principal.map_or(client, |principal| Key::Subject(&principal.subject))
            }
            RequestKey::Header(name) => self.header(name).map_or(client, Key::Header),
            RequestKey::Cookie(name) => cookie(self.headers, name).map_or(client, Key::Cookie),
        }
    }

    /// The same for the same asker, in every process.
    pub(super) fn hash(&self, of: &RequestKey) -> u64 {
        self.key(of).rank()
    }

    fn header(&self, name: &str) -> Option<&'r str> {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        self.headers.get(name)?.to_str().ok()
    }
}

/// Who is known of those that ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Their address and what they say.
    Client,
    /// And the subject of their token.
    Subject,
}

/// Counts the request where this is what it takes; `None` where it is not, or there is no limit.
///
/// # Errors
/// When the client has to wait.
pub(super) fn count(way: Way<'_>, known: Known, asker: Asker<'_>) -> Result<Option<Answer>, Problem> {
    let Way::Route(rule) = way else { return Ok(None) };
    let (Some(limit), Some(limiter)) = (&rule.policy.rate_limit, &rule.limiter) else { return Ok(None) };
    if known != needed(&limit.key) {
        return Ok(None);
    }
    let answer = limiter.check(asker.key(&limit.key), limit, Instant::now(), fastrand::u64(..));
    match answer.verdict {
        Verdict::Admitted => Ok(Some(answer)),
        Verdict::Refused { .. } => Err(Problem::RateLimited(answer)),
    }
}

fn needed(key: &RequestKey) -> Known {
    match key {
        RequestKey::Subject => Known::Subject,
        RequestKey::Client | RequestKey::Header(_) | RequestKey::Cookie(_) | RequestKey::Everyone => {
            Known::Client
        }
    }
}

fn cookie<'r>(headers: &'r HeaderMap, name: &str) -> Option<&'r str> {
    cookies(headers).find(|(sent, _)| *sent == name).map(|(_, value)| value)
}
