//! Accounts as they are kept.

use std::collections::BTreeSet;
use std::time::SystemTime;

use rusqlite::{OptionalExtension, Row, params};

use super::time::{from_seconds, to_seconds};
use super::{Secret, Store, StoreError};
use crate::model::route::Scope;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAccount {
    pub id: String,
    pub name: String,
    /// In its one normal form: it is unique as text.
    pub email: String,
    /// A PHC string.
    pub password_hash: Secret,
    pub scopes: BTreeSet<Scope>,
    pub created_at: SystemTime,
}

/// Whether an account was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insertion {
    Added,
    EmailTaken,
}

impl Store {
    pub fn insert_account(&self, account: &StoredAccount) -> Result<Insertion, StoreError> {
        let scopes: Vec<&str> = account.scopes.iter().map(Scope::as_str).collect();
        let inserted = self.with("add the account", |connection| {
            connection.execute(
                "INSERT INTO accounts (id, name, email, password_hash, scopes, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (email) DO NOTHING",
                params![
                    account.id,
                    account.name,
                    account.email,
                    account.password_hash.expose(),
                    scopes.join(" "),
                    to_seconds(account.created_at)
                ],
            )
        })?;
        Ok(if inserted == 0 { Insertion::EmailTaken } else { Insertion::Added })
    }

    pub fn account_by_email(&self, email: &str) -> Result<Option<StoredAccount>, StoreError> {
        self.with("look up the account", |connection| {
            let mut statement = connection.prepare_cached("SELECT * FROM accounts WHERE email = ?1")?;
            statement.query_row([email], read).optional()
        })
    }

    pub fn account_by_id(&self, id: &str) -> Result<Option<StoredAccount>, StoreError> {
        self.with("look up the account", |connection| {
            let mut statement = connection.prepare_cached("SELECT * FROM accounts WHERE id = ?1")?;
            statement.query_row([id], read).optional()
        })
    }

    /// Every account, by email.
    pub fn accounts(&self) -> Result<Vec<StoredAccount>, StoreError> {
        self.with("list the accounts", |connection| {
            let mut statement = connection.prepare_cached("SELECT * FROM accounts ORDER BY email")?;
            statement.query_map([], read)?.collect()
        })
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<StoredAccount> {
    let scopes: String = row.get("scopes")?;
    Ok(StoredAccount {
        id: row.get("id")?,
        name: row.get("name")?,
        email: row.get("email")?,
        password_hash: Secret::new(row.get::<_, String>("password_hash")?),
        // Only what parsed was ever written; a hand-edited row gives nothing that does not parse.
        scopes: scopes.split(' ').filter_map(|scope| scope.parse().ok()).collect(),
        created_at: from_seconds(row.get("created_at")?),
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn ada() -> StoredAccount {
        StoredAccount {
            id: "1".into(),
            name: "Ada".into(),
            email: "ada@example.com".into(),
            password_hash: Secret::new("$argon2id$…"),
            scopes: ["orders:read", "admin"].map(|scope| scope.parse().unwrap()).into(),
            created_at: UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        }
    }

    #[test]
    fn an_account_comes_back_as_it_was_put_in() {
        let store = Store::in_memory().unwrap();
        assert_eq!(store.insert_account(&ada()).unwrap(), Insertion::Added);
        assert_eq!(store.account_by_email("ada@example.com").unwrap(), Some(ada()));
        assert_eq!(store.account_by_id("1").unwrap(), Some(ada()));
        assert_eq!(store.accounts().unwrap(), [ada()]);
        assert_eq!(store.account_by_id("2").unwrap(), None);
    }

    #[test]
    fn an_email_belongs_to_one_account() {
        let store = Store::in_memory().unwrap();
        store.insert_account(&ada()).unwrap();
        let second = StoredAccount { id: "2".into(), ..ada() };
        assert_eq!(store.insert_account(&second).unwrap(), Insertion::EmailTaken);
        assert_eq!(store.accounts().unwrap().len(), 1);
    }

    #[test]
    fn an_account_shown_for_debugging_hides_its_hash() {
        assert!(!format!("{:?}", ada()).contains("argon2"));
    }
}
