//! How long a guesser waits.
//!
//! Failures are counted per account (whether it exists or not) and per client address. After a few
//! of them each further one doubles the wait, up to the length of the window; a count that nothing
//! was added to for a window is forgotten. Nobody is locked out for good, and a refused attempt
//! counts for nothing, so hammering does not lengthen anyone's wait.
//!
//! Counts live in the store: restarting does not reset them. An address is allowed more failures than
//! an account, because many people may share one; on a developer's machine, all of them do.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::base64::hexadecimal;
use super::email::Email;
use crate::store::attempts::Failures;
use crate::store::{Store, StoreError};

const WINDOW: Duration = Duration::from_secs(15 * 60);
const FIRST_WAIT: Duration = Duration::from_secs(15);
const ACCOUNT_ALLOWANCE: u32 = 5;
const ADDRESS_ALLOWANCE: u32 = 25;

/// One attempt to log in, as the counters know it.
pub struct Attempt {
    account: String,
    address: Option<String>,
}

impl Attempt {
    #[must_use]
    pub fn new(email: &Email, address: Option<IpAddr>) -> Self {
        // A digest: people type passwords into the wrong field, and those must not be kept.
        let digest = hexadecimal(&Sha256::digest(email.as_str()));
        Self {
            account: format!("account {digest}"),
            address: address.map(|address| format!("address {}", address.to_canonical())),
        }
    }

    /// How long this attempt has to wait; `None` when it may be made now.
    pub fn wait(&self, store: &Store, now: SystemTime) -> Result<Option<Duration>, StoreError> {
        let account = wait_after(store.failures(&self.account)?, ACCOUNT_ALLOWANCE, now);
        let Some(address) = &self.address else { return Ok(account) };
        Ok(account.max(wait_after(store.failures(address)?, ADDRESS_ALLOWANCE, now)))
    }

    pub fn failed(&self, store: &Store, now: SystemTime) -> Result<(), StoreError> {
        let keys: Vec<&str> =
            std::iter::once(&self.account).chain(&self.address).map(String::as_str).collect();
        store.record_failure(&keys, WINDOW, now)
    }

    /// Forgets the account's failures. Its address keeps its own: otherwise one account of his
    /// own would buy a guesser as many attempts on others as he likes.
    pub fn succeeded(&self, store: &Store) -> Result<(), StoreError> {
        store.forget_failures(&self.account)
    }
}

fn wait_after(failures: Option<Failures>, allowance: u32, now: SystemTime) -> Option<Duration> {
    let failures = failures.filter(|failures| failures.count >= allowance)?;
    let doublings = (failures.count - allowance).min(16);
    let wait = (FIRST_WAIT * 2_u32.pow(doublings)).min(WINDOW);
    // A clock set back must not make anyone wait longer than the wait itself.
    let passed = now.duration_since(failures.last_at).unwrap_or_default();
    wait.checked_sub(passed).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
    }

    fn attempt(email: &str, address: &str) -> Attempt {
        Attempt::new(&email.parse().unwrap(), Some(address.parse().unwrap()))
    }

    #[test]
    fn five_failures_are_free_and_each_further_one_doubles_the_wait() {
        let waits = [4, 5, 6, 7, 10, 11, 12, 1000].map(|count| {
            wait_after(Some(Failures { count, last_at: at(0) }), ACCOUNT_ALLOWANCE, at(0))
                .map(|w| w.as_secs())
        });
        let expected = [None, Some(15), Some(30), Some(60), Some(480), Some(900), Some(900), Some(900)];
        assert_eq!(waits, expected);
    }

    #[test]
    fn a_wait_passes() {
        let failures = Some(Failures { count: 5, last_at: at(0) });
        let left = |seconds| wait_after(failures, ACCOUNT_ALLOWANCE, at(seconds)).map(|w| w.as_secs());
        assert_eq!([0, 10, 14, 15, 16].map(left), [Some(15), Some(5), Some(1), None, None]);
    }

    #[test]
    fn one_address_trying_many_accounts_waits_too() {
        let store = Store::in_memory().unwrap();
        for number in 0..ADDRESS_ALLOWANCE {
            attempt(&format!("user{number}@example.com"), "10.0.0.1").failed(&store, at(0)).unwrap();
        }
        assert!(attempt("ada@example.com", "10.0.0.1").wait(&store, at(0)).unwrap().is_some());
        assert!(attempt("ada@example.com", "::ffff:10.0.0.1").wait(&store, at(0)).unwrap().is_some());
        assert!(attempt("ada@example.com", "10.0.0.2").wait(&store, at(0)).unwrap().is_none());
    }

    #[test]
    fn success_forgets_the_accounts_failures_but_not_the_addresss() {
        let store = Store::in_memory().unwrap();
        let ada = attempt("ada@example.com", "10.0.0.1");
        for _ in 0..ADDRESS_ALLOWANCE {
            ada.failed(&store, at(0)).unwrap();
        }
        ada.succeeded(&store).unwrap();
        assert!(attempt("ada@example.com", "10.0.0.2").wait(&store, at(0)).unwrap().is_none());
        assert!(ada.wait(&store, at(0)).unwrap().is_some());
    }

    #[test]
    fn what_was_typed_as_an_address_is_not_kept() {
        assert!(!attempt("secret@example.com", "10.0.0.1").account.contains("secret"));
    }
}
