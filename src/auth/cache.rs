//! Tokens that were verified a moment ago.
//!
//! Checking a signature costs a thousand times what a look-up does. The key is the whole token, so
//! nothing but the very bytes that were verified can hit; only accepted tokens are kept, so bad ones
//! cannot push good ones out. What a clock can change is not cached: the caller checks the window
//! of a hit again.
//!
//! Bounded without bookkeeping on reads: two generations of at most `capacity / 2`. The young one
//! fills, becomes the old one, and the one before is dropped.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use super::claims::Window;
use crate::model::principal::Principal;

/// No entry outlives this, whatever its token says.
const MAX_AGE: Duration = Duration::from_secs(300);

#[derive(Debug, Clone)]
pub struct Verified {
    pub principal: Principal,
    pub window: Window,
    pub verified_at: SystemTime,
}

pub struct VerifiedTokens {
    generations: RwLock<Generations>,
    capacity: usize,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Box<str>, Verified>,
    old: HashMap<Box<str>, Verified>,
}

impl VerifiedTokens {
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { generations: RwLock::default(), capacity }
    }

    #[must_use]
    pub fn get(&self, token: &str, now: SystemTime) -> Option<Verified> {
        // A map is whole even if a thread panicked beside it.
        let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        let found = generations.young.get(token).or_else(|| generations.old.get(token))?;
        // A clock set back makes the age unknown: verify again.
        let age = now.duration_since(found.verified_at).ok()?;
        (age < MAX_AGE).then(|| found.clone())
    }

    pub fn insert(&self, token: &str, verified: Verified) {
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        if generations.young.len() >= self.capacity / 2 {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(token.into(), verified);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let generations = self.generations.read().unwrap();
        generations.young.len() + generations.old.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::auth::claims::{Audience, Claims};

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
    }

    fn verified(subject: &str) -> Verified {
        let claims = Claims {
            iss: String::new(),
            sub: subject.to_owned(),
            aud: Audience::Many(Vec::new()),
            exp: u64::MAX / 4,
            iat: 0,
            nbf: None,
            jti: String::new(),
            client_id: String::new(),
            scope: String::new(),
            sid: None,
        };
        let principal = Principal {
            subject: subject.to_owned(),
            scopes: BTreeSet::new(),
            expires_at: SystemTime::UNIX_EPOCH,
        };
        Verified { principal, window: claims.window().unwrap(), verified_at: at(0) }
    }

    #[test]
    fn only_the_very_same_token_hits() {
        let cache = VerifiedTokens::with_capacity(10);
        cache.insert("a.b.c", verified("ada"));
        assert_eq!(cache.get("a.b.c", at(1)).unwrap().principal.subject, "ada");
        for other in ["a.b.d", "a.b.c ", "a.b.", "A.b.c"] {
            assert!(cache.get(other, at(1)).is_none(), "{other}");
        }
    }

    #[test]
    fn an_entry_ends_after_five_minutes_or_when_the_clock_is_set_back() {
        let cache = VerifiedTokens::with_capacity(10);
        cache.insert("a.b.c", verified("ada"));
        assert!(cache.get("a.b.c", at(299)).is_some());
        assert!(cache.get("a.b.c", at(300)).is_none());
        assert!(cache.get("a.b.c", at(0) - Duration::from_secs(1)).is_none());
    }

    #[test]
    fn it_never_grows_beyond_its_capacity_and_keeps_the_latest() {
        let cache = VerifiedTokens::with_capacity(100);
        for number in 0..1000 {
            cache.insert(&number.to_string(), verified("ada"));
            assert!(cache.len() <= 100);
        }
        assert!((951..1000).all(|number| cache.get(&number.to_string(), at(1)).is_some()));
    }
}
