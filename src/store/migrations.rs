//! How an older database becomes a current one.
//!
//! Each file in `migrations/` is applied once, in order; SQLite's `user_version` counts how many
//! were. A released file is never edited: a change is a new file.

use rusqlite::{Connection, TransactionBehavior};

const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001_accounts.sql")];

/// The version that this msctl writes.
pub(super) const KNOWN_VERSION: usize = MIGRATIONS.len();

pub(super) fn version_of(connection: &Connection) -> rusqlite::Result<usize> {
    connection
        .query_row("PRAGMA user_version", [], |row| row.get::<_, u32>(0))
        .map(|version| version as usize)
}

/// Applies what is missing, all of it or nothing.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let applied = version_of(&transaction)?;
    for migration in MIGRATIONS.iter().skip(applied) {
        transaction.execute_batch(migration)?;
    }
    transaction.execute_batch(&format!("PRAGMA user_version = {}", KNOWN_VERSION.max(applied)))?;
    transaction.commit()
}
