//! The embedded database of a platform: one SQLite file per folder, private to its user.
//!
//! [`database`] opens it (folder 0700, file 0600, migrations, quarantine of a damaged file); the
//! other modules are typed access to one table each. Calls block for as long as a disk takes: async
//! callers go through `spawn_blocking`. The store knows no rules: who may log in, how long a
//! session lasts and what a scope allows is decided by its callers.

pub mod accounts;
pub mod attempts;
pub mod database;
pub mod private;
pub mod secret;
pub mod sessions;

mod migrations;
mod time;

pub use database::{Store, StoreError};
pub use secret::Secret;
