//! So many requests for each client, and not more: the generic cell rate algorithm, which is a token
//! bucket kept as a single point in time for each key.
//!
//! Keys are kept as hashes under a secret of the process, so a client can neither aim at another's
//! bucket nor make them collide. The table is bounded. When it is full, keys whose bucket is full
//! again are dropped first, since that forgets nothing; if there is none, a random one is, which
//! gives its client a full bucket: whoever floods the table with keys does others no harm.
//!
//! A check locks one of [`SHARDS`] for the time of one look-up.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::gcra::Cell;
use self::hashed::Hashed;
use super::numbers::below;
use super::rendezvous;
use crate::model::traffic::RateLimit;

mod gcra;
mod hashed;

/// The clients of one limit.
#[derive(Debug)]
pub struct Limiter {
    born: Instant,
    secret: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

/// What a request is counted under: [`RequestKey`](crate::model::traffic::RequestKey) with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key<'k> {
    /// Of IPv6 addresses the /64 counts, which is what one client has at least.
    Client(IpAddr),
    Subject(&'k str),
    Header(&'k str),
    Cookie(&'k str),
    Everyone,
}

/// What the client is told: `RateLimit-Limit`, `RateLimit-Remaining`, `RateLimit-Reset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    pub verdict: Verdict,
    /// How many may be made at once.
    pub limit: u32,
    /// How many more may be made now.
    pub remaining: u32,
    /// Until `remaining` is `limit` again.
    pub reset: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Admitted,
    /// Never zero.
    Refused {
        retry_after: Duration,
    },
}

pub const SHARDS: usize = 16;

/// All shards together.
pub const MOST_KEYS: usize = 10_000;

/// For each key the time at which its bucket is full again, in nanoseconds since the limiter's birth.
type Shard = HashMap<u64, u64, BuildHasherDefault<Hashed>>;

impl Limiter {
    pub fn new(now: Instant) -> Self {
        Self { born: now, secret: RandomState::new(), shards: Default::default() }
    }

    /// Counts one request, unless it is refused. `random` decides who is forgotten if somebody must be.
    pub fn check(&self, key: Key<'_>, limit: &RateLimit, now: Instant, random: u64) -> Answer {
        let hash = self.secret.hash_one(key.masked());
        let now = nanos(now.saturating_duration_since(self.born));
        let mut shard = self.shard(hash);
        let (answer, full_at) = Cell::of(limit).decide(shard.get(&hash).copied().unwrap_or(0), now);
        if answer.verdict == Verdict::Admitted {
            remember(&mut shard, hash, full_at, now, random);
        }
        answer
    }

    /// Keys that are remembered.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        (0..SHARDS).map(|index| lock(&self.shards[index]).len()).sum()
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        // The table inside uses the other bits.
        lock(&self.shards[below(hash >> 32, SHARDS)])
    }
}

impl Key<'_> {
    /// For [`Method::Consistent`](super::balance::Method::Consistent): the same in every process.
    pub fn rank(self) -> u64 {
        match self.masked() {
            Self::Client(IpAddr::V4(address)) => rendezvous::hash(&address.octets()),
            Self::Client(IpAddr::V6(address)) => rendezvous::hash(&address.octets()),
            Self::Subject(text) | Self::Header(text) | Self::Cookie(text) => {
                rendezvous::hash(text.as_bytes())
            }
            Self::Everyone => 0,
        }
    }

    fn masked(self) -> Self {
        match self {
            Self::Client(address) => Self::Client(network(address)),
            other => other,
        }
    }
}

/// Whole seconds, rounded up, as `Retry-After` and `RateLimit-Reset` want them: coming back after
/// them is never too early.
pub fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// What one client has at least: an IPv4 address, or a /64 of IPv6.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn remember(shard: &mut Shard, hash: u64, full_at: u64, now: u64, random: u64) {
    if shard.len() >= MOST_KEYS / SHARDS && !shard.contains_key(&hash) {
        make_room(shard, now, random);
    }
    shard.insert(hash, full_at);
}

fn make_room(shard: &mut Shard, now: u64, random: u64) {
    let before = shard.len();
    shard.retain(|_, full_at| *full_at > now);
    if shard.len() == before {
        let victim = shard.keys().nth(below(random, before)).copied();
        victim.map(|victim| shard.remove(&victim));
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
