//! How often logging in has failed lately, per key. What a key is and how many are too many is the
//! caller's business.

use std::time::{Duration, SystemTime};

use rusqlite::{OptionalExtension, TransactionBehavior, params};

use super::time::{from_seconds, to_seconds};
use super::{Store, StoreError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    pub count: u32,
    pub last_at: SystemTime,
}

impl Store {
    pub fn failures(&self, key: &str) -> Result<Option<Failures>, StoreError> {
        self.with("look up failed logins", |connection| {
            let mut statement =
                connection.prepare_cached("SELECT count, last_at FROM login_failures WHERE key = ?1")?;
            let read = |row: &rusqlite::Row<'_>| {
                Ok(Failures { count: row.get(0)?, last_at: from_seconds(row.get(1)?) })
            };
            statement.query_row([key], read).optional()
        })
    }

    /// Counts one failure for each key, and forgets every count that nothing was added to for
    /// `memory`.
    pub fn record_failure(&self, keys: &[&str], memory: Duration, now: SystemTime) -> Result<(), StoreError> {
        let forgotten = to_seconds(now.checked_sub(memory).unwrap_or(SystemTime::UNIX_EPOCH));
        self.with("count a failed login", |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute("DELETE FROM login_failures WHERE last_at < ?1", [forgotten])?;
            for key in keys {
                transaction.execute(
                    "INSERT INTO login_failures (key, count, last_at) VALUES (?1, 1, ?2)
                     ON CONFLICT (key) DO UPDATE SET count = count + 1, last_at = ?2",
                    params![key, to_seconds(now)],
                )?;
            }
            transaction.commit()
        })
    }

    pub fn forget_failures(&self, key: &str) -> Result<(), StoreError> {
        self.with("forget failed logins", |connection| {
            connection.execute("DELETE FROM login_failures WHERE key = ?1", [key]).map(drop)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn failures_add_up_until_they_are_forgotten() {
        let store = Store::in_memory().unwrap();
        let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds);
        let memory = Duration::from_secs(100);
        store.record_failure(&["a", "b"], memory, at(0)).unwrap();
        store.record_failure(&["a"], memory, at(90)).unwrap();
        assert_eq!(store.failures("a").unwrap(), Some(Failures { count: 2, last_at: at(90) }));

        store.record_failure(&["c"], memory, at(150)).unwrap();
        assert_eq!(store.failures("b").unwrap(), None, "too long ago");
        assert_eq!(store.failures("a").unwrap().map(|f| f.count), Some(2));

        store.forget_failures("a").unwrap();
        assert_eq!(store.failures("a").unwrap(), None);
    }
}
