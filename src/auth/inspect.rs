//! What a token says and whether it would be accepted, for people. Reads any token, also a foreign
//! or broken one, and never repeats its signature.

use std::time::SystemTime;

use serde_json::Value;

use super::base64;
use super::verify::{MAX_TOKEN_BYTES, Verifier};

/// A token taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// `None` when it is not base64url of JSON.
    pub header: Option<Value>,
    pub claims: Option<Value>,
    pub verdict: Verdict,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Valid,
    /// Why the gateway would not accept it.
    Invalid {
        reason: String,
    },
    /// There was no key to check it with.
    Unchecked,
}

/// Takes `token` apart, and checks it with `verifier` where there is one.
#[must_use]
pub fn inspect(token: &str, verifier: Option<&Verifier>, now: SystemTime) -> Inspection {
    let mut parts = token.split('.');
    let mut next = || parts.next().filter(|_| token.len() <= MAX_TOKEN_BYTES).and_then(json);
    let (header, claims) = (next(), next());
    let verdict = match verifier.map(|verifier| verifier.claims(token, now)) {
        Some(Ok(_)) => Verdict::Valid,
        Some(Err(rejection)) => Verdict::Invalid { reason: rejection.to_string() },
        None => Verdict::Unchecked,
    };
    Inspection { header, claims, verdict }
}

fn json(part: &str) -> Option<Value> {
    serde_json::from_slice(&base64::decode(base64::URL_SAFE, part)?).ok()
}
