//! The embedded databases of a platform, for its accounts and for its history: each is one SQLite file in
//! a folder of its own, private to its user.
//!
//! [`database`] opens one (folder 0700, file 0600, migrations, quarantine of a damaged file); the
//! other modules are typed access to one table each. Calls block for as long as a disk takes: async
//! callers go through `spawn_blocking`. The store knows no rules: who may log in, how long a
//! session lasts and what a scope allows is decided by its callers.

pub mod accounts;
pub mod attempts;
pub mod database;
pub mod deployments;
pub mod private;
pub mod secret;
pub mod sessions;

mod migrations;
mod time;

pub use database::{Database, Store, StoreError};
pub use deployments::HistoryStore;
pub use secret::Secret;
