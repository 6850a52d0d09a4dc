//! How an older database becomes a current one.
//!
//! Each kind of database has a folder in `migrations/`. Each file there is applied once, in order;
//! SQLite's `user_version` counts how many were. A released file is never edited: a change is a new file.

use rusqlite::{Connection, TransactionBehavior};

/// A kind of database: all that one needs to be told apart from another.
pub trait Schema {
    /// In their order.
    const MIGRATIONS: &'static [&'static str];
}

/// Accounts, their sessions, and who fails to log in.
#[derive(Debug)]
pub enum Accounts {}

impl Schema for Accounts {
    const MIGRATIONS: &'static [&'static str] = &[include_str!("migrations/accounts/0001_accounts.sql")];
}

/// What became of each generation of each service.
#[derive(Debug)]
pub enum Deployments {}

impl Schema for Deployments {
    const MIGRATIONS: &'static [&'static str] =
        &[include_str!("migrations/deployments/0001_deployments.sql")];
}

/// The version that this msctl writes.
pub(super) const fn known_version<S: Schema>() -> usize {
    S::MIGRATIONS.len()
}

pub(super) fn version_of(connection: &Connection) -> rusqlite::Result<usize> {
    connection
        .query_row("PRAGMA user_version", [], |row| row.get::<_, u32>(0))
        .map(|version| version as usize)
}

/// Applies what is missing, all of it or nothing.
pub(super) fn migrate<S: Schema>(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let applied = version_of(&transaction)?;
    for migration in S::MIGRATIONS.iter().skip(applied) {
        transaction.execute_batch(migration)?;
    }
    transaction.execute_batch(&format!("PRAGMA user_version = {}", known_version::<S>().max(applied)))?;
    transaction.commit()
}
