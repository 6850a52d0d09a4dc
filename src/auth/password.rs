//! Passwords: argon2id, with the parameters that OWASP asks for, at most two at a time.
//!
//! A hash takes 19 MiB and a good part of a core on purpose. [`Hasher::slot`] is the only way to one,
//! so that a thousand logins at once cost two hashes' memory and a queue. Hashing blocks: use a
//! [`Slot`] in `spawn_blocking`, and let the blocking closure own it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::store::Secret;

/// Counted in characters, both ends included.
pub const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 8..=256;

const SLOTS: usize = 2;
/// How long a login waits for a slot before it is told to come back.
const MAX_WAIT: Duration = Duration::from_secs(5);

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// A hash that no password has, made with the same parameters as real ones: checking a password
/// against it takes as long as a real check, so that unknown accounts are not told by time.
const NOBODYS_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$\
                            AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("must have 8 to 256 characters")]
    Length,
    #[error("hash a password: too many others are being hashed")]
    Busy,
    #[error("hash a password: {0}")]
    Hash(#[from] argon2::password_hash::Error),
}

/// Hands out the slots in which passwords are hashed.
pub struct Hasher {
    slots: Arc<Semaphore>,
    verifications: Arc<AtomicU64>,
}

/// The right to hash, held until dropped.
pub struct Slot {
    _permit: OwnedSemaphorePermit,
    verifications: Arc<AtomicU64>,
}

impl Default for Hasher {
    fn default() -> Self {
        Self { slots: Arc::new(Semaphore::new(SLOTS)), verifications: Arc::default() }
    }
}

impl Hasher {
    /// Waits for a slot, but not for long.
    pub async fn slot(&self) -> Result<Slot, PasswordError> {
        let waiting = tokio::time::timeout(MAX_WAIT, Arc::clone(&self.slots).acquire_owned());
        // The inner error is a closed semaphore, which nobody closes.
        let permit = waiting.await.ok().and_then(Result::ok).ok_or(PasswordError::Busy)?;
        Ok(Slot { _permit: permit, verifications: Arc::clone(&self.verifications) })
    }

    /// How many passwords were checked so far, also those of nobody.
    #[must_use]
    pub fn verifications(&self) -> u64 {
        self.verifications.load(Ordering::Relaxed)
    }
}

impl Slot {
    /// The PHC string of `password`, with a salt of its own.
    pub fn hash(&self, password: &Secret) -> Result<Secret, PasswordError> {
        check_length(password)?;
        let hash = argon2id()?.hash_password(password.expose().as_bytes())?;
        Ok(Secret::new(hash.to_string()))
    }

    /// Whether `password` is the one that `hash` was made of; with no hash, no, after the same time.
    #[must_use]
    pub fn verify(&self, password: &Secret, hash: Option<&Secret>) -> bool {
        self.verifications.fetch_add(1, Ordering::Relaxed);
        let text = hash.map_or(NOBODYS_HASH, Secret::expose);
        let matches = PasswordHash::new(text).is_ok_and(|parsed| {
            // The parameters are those in the hash, so that raising ours keeps old ones usable.
            Argon2::default().verify_password(password.expose().as_bytes(), &parsed).is_ok()
        });
        matches && hash.is_some()
    }
}

/// Refuses what no account can have. Cheap, so it is asked before a slot is.
pub fn check_length(password: &Secret) -> Result<(), PasswordError> {
    // The byte length bounds the work of counting characters.
    let text = password.expose();
    let fits = text.len() <= PASSWORD_LENGTH.end() * 4 && PASSWORD_LENGTH.contains(&text.chars().count());
    if fits { Ok(()) } else { Err(PasswordError::Length) }
}

fn argon2id() -> Result<Argon2<'static>, PasswordError> {
    let parameters =
        Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(argon2::password_hash::Error::from)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text)
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let slot = Hasher::default().slot().await.unwrap();
        let hash = slot.hash(&secret("correct horse")).unwrap();
        assert!(slot.verify(&secret("correct horse"), Some(&hash)));
        assert!(!slot.verify(&secret("correct horsf"), Some(&hash)));
    }

    #[tokio::test]
    async fn the_same_password_is_salted_differently_each_time() {
        let slot = Hasher::default().slot().await.unwrap();
        let [first, second] = [0, 1].map(|_| slot.hash(&secret("correct horse")).unwrap());
        assert_ne!(first, second);
    }

    #[tokio::test]
    async fn nobodys_hash_costs_what_a_real_one_does_and_matches_nothing() {
        let hasher = Hasher::default();
        let slot = hasher.slot().await.unwrap();
        let real = slot.hash(&secret("correct horse")).unwrap();
        let parameters = |phc: &str| phc.rsplitn(3, '$').last().map(str::to_owned);
        assert_eq!(parameters(NOBODYS_HASH), parameters(real.expose()));
        let nobody = PasswordHash::new(NOBODYS_HASH).unwrap();
        let real = PasswordHash::new(real.expose()).unwrap();
        assert_eq!(nobody.hash.unwrap().len(), real.hash.unwrap().len());
        assert!(!slot.verify(&secret("correct horse"), None));
        assert_eq!(hasher.verifications(), 1);
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        for (text, fits) in [
            ("1234567".to_owned(), false),
            ("12345678".to_owned(), true),
            ("é".repeat(8), true),
            ("🦀".repeat(256), true),
            ("a".repeat(257), false),
            ("a".repeat(1 << 20), false),
        ] {
            assert_eq!(check_length(&secret(&text)).is_ok(), fits, "{} bytes", text.len());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_third_hash_waits_for_one_of_two_slots_and_not_for_ever() {
        let hasher = Hasher::default();
        let (first, _second) = (hasher.slot().await.unwrap(), hasher.slot().await.unwrap());
        assert_eq!(hasher.slot().await.err(), Some(PasswordError::Busy));
        drop(first);
        assert!(hasher.slot().await.is_ok());
    }
}
