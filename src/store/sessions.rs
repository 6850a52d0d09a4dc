//! Sessions: families of refresh tokens, of which only the latest is usable.
//!
//! Tokens are known by their SHA-256 alone. A session that ended is deleted with its tokens, so
//! whatever is still presented from it is unknown.

use std::time::{Duration, SystemTime};

use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};

use super::time::to_seconds;
use super::{Store, StoreError};

/// The SHA-256 of a refresh token.
pub type TokenHash = [u8; 32];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    pub id: String,
    pub account_id: String,
    pub first_token: TokenHash,
    /// Until when the first token can be used.
    pub usable_until: SystemTime,
    /// The end of the session, however often it is renewed.
    pub ends_at: SystemTime,
}

/// What became of a presented refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// It is spent, and the new one took its place.
    Rotated { session_id: String, account_id: String },
    /// It had been spent before, so it is in two hands: the whole session is gone.
    Reused { account_id: String },
    /// Never issued, expired, or its session has ended.
    Unknown,
}

struct Presented {
    session_id: String,
    account_id: String,
    usable_until: i64,
    ends_at: i64,
    spent: bool,
}

impl Store {
    /// Adds a session, and forgets those that ended before `now`.
    pub fn start_session(&self, session: &NewSession, now: SystemTime) -> Result<(), StoreError> {
        self.with("start the session", |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute("DELETE FROM sessions WHERE ends_at <= ?1", [to_seconds(now)])?;
            transaction.execute(
                "INSERT INTO sessions (id, account_id, ends_at) VALUES (?1, ?2, ?3)",
                params![session.id, session.account_id, to_seconds(session.ends_at)],
            )?;
            add_token(&transaction, &session.id, &session.first_token, to_seconds(session.usable_until))?;
            transaction.commit()
        })
    }

    /// Spends `presented` and puts `next` in its place, usable for `idle` but not past the
    /// session's end.
    pub fn rotate_token(
        &self,
        presented: &TokenHash,
        next: &TokenHash,
        idle: Duration,
        now: SystemTime,
    ) -> Result<Rotation, StoreError> {
        self.with("renew the session", |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let Some(found) = find(&transaction, presented)? else { return Ok(Rotation::Unknown) };
            let seconds = to_seconds(now);
            if seconds >= found.ends_at || (!found.spent && seconds >= found.usable_until) {
                return Ok(Rotation::Unknown);
            }
            let rotation = if found.spent {
                transaction.execute("DELETE FROM sessions WHERE id = ?1", [&found.session_id])?;
                Rotation::Reused { account_id: found.account_id }
            } else {
                transaction.execute("UPDATE refresh_tokens SET spent = 1 WHERE hash = ?1", [presented])?;
                let usable_until = to_seconds(now + idle).min(found.ends_at);
                add_token(&transaction, &found.session_id, next, usable_until)?;
                Rotation::Rotated { session_id: found.session_id, account_id: found.account_id }
            };
            transaction.commit()?;
            Ok(rotation)
        })
    }

    pub fn end_session(&self, session_id: &str) -> Result<(), StoreError> {
        self.with("end the session", |connection| {
            connection.execute("DELETE FROM sessions WHERE id = ?1", [session_id]).map(drop)
        })
    }

    /// Ends the session that `token` belongs to, spent or not.
    pub fn end_session_of(&self, token: &TokenHash) -> Result<(), StoreError> {
        self.with("end the session", |connection| {
            let of_token = "SELECT session_id FROM refresh_tokens WHERE hash = ?1";
            connection.execute(&format!("DELETE FROM sessions WHERE id IN ({of_token})"), [token]).map(drop)
        })
    }
}

fn find(transaction: &Transaction<'_>, token: &TokenHash) -> rusqlite::Result<Option<Presented>> {
    let query = "SELECT sessions.id, account_id, usable_until, ends_at, spent
                 FROM refresh_tokens JOIN sessions ON sessions.id = session_id WHERE hash = ?1";
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Presented {
            session_id: row.get(0)?,
            account_id: row.get(1)?,
            usable_until: row.get(2)?,
            ends_at: row.get(3)?,
            spent: row.get(4)?,
        })
    };
    transaction.query_row(query, [token], read).optional()
}

fn add_token(
    transaction: &Transaction<'_>,
    session_id: &str,
    token: &TokenHash,
    usable_until: i64,
) -> rusqlite::Result<()> {
    transaction
        .execute(
            "INSERT INTO refresh_tokens (hash, session_id, usable_until) VALUES (?1, ?2, ?3)",
            params![token, session_id, usable_until],
        )
        .map(drop)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::store::Secret;
    use crate::store::accounts::StoredAccount;

    const IDLE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
    }

    fn store_with_session() -> Store {
        let store = Store::in_memory().unwrap();
        let account = StoredAccount {
            id: "ada".into(),
            name: "Ada".into(),
            email: "ada@example.com".into(),
            password_hash: Secret::new(""),
            scopes: BTreeSet::new(),
            created_at: at(0),
        };
        store.insert_account(&account).unwrap();
        let session = NewSession {
            id: "s".into(),
            account_id: "ada".into(),
            first_token: [1; 32],
            usable_until: at(60),
            ends_at: at(100),
        };
        store.start_session(&session, at(0)).unwrap();
        store
    }

    fn rotated() -> Rotation {
        Rotation::Rotated { session_id: "s".into(), account_id: "ada".into() }
    }

    #[test]
    fn a_token_is_used_once_and_its_successor_takes_over() {
        let store = store_with_session();
        assert_eq!(store.rotate_token(&[1; 32], &[2; 32], IDLE, at(10)).unwrap(), rotated());
        assert_eq!(store.rotate_token(&[2; 32], &[3; 32], IDLE, at(20)).unwrap(), rotated());
    }

    #[test]
    fn a_spent_token_ends_the_session_for_whoever_holds_the_successor() {
        let store = store_with_session();
        store.rotate_token(&[1; 32], &[2; 32], IDLE, at(10)).unwrap();
        let reuse = store.rotate_token(&[1; 32], &[9; 32], IDLE, at(11)).unwrap();
        assert_eq!(reuse, Rotation::Reused { account_id: "ada".into() });
        assert_eq!(store.rotate_token(&[2; 32], &[3; 32], IDLE, at(12)).unwrap(), Rotation::Unknown);
    }

    #[test]
    fn a_session_ends_when_idle_and_at_its_absolute_end() {
        let store = store_with_session();
        assert_eq!(store.rotate_token(&[1; 32], &[2; 32], IDLE, at(60)).unwrap(), Rotation::Unknown);
        assert_eq!(store.rotate_token(&[1; 32], &[2; 32], IDLE, at(59)).unwrap(), rotated());
        assert_eq!(store.rotate_token(&[2; 32], &[3; 32], IDLE, at(100)).unwrap(), Rotation::Unknown);
    }

    #[test]
    fn a_session_can_be_ended_by_its_id_or_by_any_of_its_tokens() {
        for by_id in [true, false] {
            let store = store_with_session();
            store.rotate_token(&[1; 32], &[2; 32], IDLE, at(10)).unwrap();
            if by_id { store.end_session("s") } else { store.end_session_of(&[1; 32]) }.unwrap();
            assert_eq!(store.rotate_token(&[2; 32], &[3; 32], IDLE, at(12)).unwrap(), Rotation::Unknown);
        }
    }
}
