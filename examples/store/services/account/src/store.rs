//! Accounts in `SQLite`. Knows SQL, and nothing of HTTP.

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::types::{FromSql, Type};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::domain::{Account, AccountId};

/// How long a write waits for the service's other generation, which has the same file open during
/// a redeploy.
const PATIENCE: Duration = Duration::from_secs(5);

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS account (
        id           TEXT PRIMARY KEY,
        display_name TEXT,
        created_at   TEXT NOT NULL
    ) STRICT, WITHOUT ROWID";

/// Everybody who was here.
#[derive(Debug, Clone)]
pub struct Accounts {
    connection: Arc<Mutex<Connection>>,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("failed to use the database: {0}")]
    Database(#[from] rusqlite::Error),
    #[error("failed to finish the database's work: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl Accounts {
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open(file)?;
        connection.busy_timeout(PATIENCE)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    pub async fn find(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        let id = id.to_string();
        self.run(move |connection| {
            let mut select = connection.prepare_cached("SELECT * FROM account WHERE id = ?1")?;
            select.query_row([id], account_of).optional()
        })
        .await
    }

    /// Keeps a new account, unless somebody was quicker; what is kept is the answer.
    pub async fn find_or_keep(&self, account: Account) -> Result<Account, StoreError> {
        self.run(move |connection| {
            let mut insert = connection.prepare_cached(
                "INSERT INTO account (id, display_name, created_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (id) DO UPDATE SET id = id RETURNING *",
            )?;
            let name = account.display_name.map(|name| name.to_string());
            insert
                .query_row(params![account.id.to_string(), name, account.created_at.to_string()], account_of)
        })
        .await
    }

    /// Keeps a changed account.
    pub async fn save(&self, account: Account) -> Result<(), StoreError> {
        self.run(move |connection| {
            let mut update =
                connection.prepare_cached("UPDATE account SET display_name = ?2 WHERE id = ?1")?;
            let name = account.display_name.map(|name| name.to_string());
            update.execute(params![account.id.to_string(), name])?;
            Ok(())
        })
        .await
    }

    /// Whether there was anything to remove.
    pub async fn remove(&self, id: &AccountId) -> Result<bool, StoreError> {
        let id = id.to_string();
        self.run(move |connection| Ok(connection.execute("DELETE FROM account WHERE id = ?1", [id])? > 0))
            .await
    }

    /// Fails when the database cannot be read.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.run(|connection| connection.query_row("SELECT count(*) FROM account", [], |_| Ok(()))).await
    }

    /// Runs blocking work where blocking is allowed.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let connection = Arc::clone(&self.connection);
        let task = move || work(&connection.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(tokio::task::spawn_blocking(task).await??)
    }
}

fn account_of(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account {
        id: column(row, "id", |text: String| text.parse())?,
        display_name: column(row, "display_name", |text: Option<String>| {
            text.map(|text| text.parse()).transpose()
        })?,
        created_at: column(row, "created_at", |text: String| text.parse())?,
    })
}

/// Reads a column into a type of the domain, which refuses what it would not have written.
fn column<Stored: FromSql, T, E: Error + Send + Sync + 'static>(
    row: &Row<'_>,
    name: &str,
    read: impl FnOnce(Stored) -> Result<T, E>,
) -> rusqlite::Result<T> {
    let index = row.as_ref().column_index(name)?;
    read(row.get(index)?)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(index, Type::Null, Box::new(error)))
}
