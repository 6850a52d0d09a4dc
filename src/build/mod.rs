//! Sources → something that runs.
//!
//! [`Builder`] answers three questions about a service: what its sources are ([`BuildDigest`]),
//! whether that is built, and what an instance then executes. And it builds:
//!
//! | strategy | with a container engine | without one |
//! |---|---|---|
//! | pack | a shell command on the host, its artifact alone in an image | the artifact itself, or `[process]` |
//! | dockerfile | the engine builds | `[process]` |
//! | image | pulled if it is not there | `[process]` |
//!
//! It decides nothing about when to build or what to remove, and runs nothing that was built.
//!
//! Reading order: [`builder`] (the questions) and [`making`] (what happens), [`sources`], [`rules`],
//! [`digest`] and [`walk`] (what it is made from), [`changes`] (what a build does to that), [`command`] (shell
//! commands), [`pack`] with [`elf`], [`strip`] and [`archive`], [`context`] with [`dockerfile`] and
//! [`dockerignore`], [`thin`] with [`layer`] (sending only what changed), [`place`] and [`naming`]
//! (where things are kept), [`kept`] (what of it may go), [`error`].
//!
//! [`BuildDigest`]: crate::model::instance::BuildDigest

mod archive;
mod builder;
mod changes;
mod command;
mod context;
mod digest;
mod dockerfile;
mod dockerignore;
mod elf;
mod error;
mod kept;
mod layer;
mod making;
mod naming;
mod pack;
mod place;
mod rules;
mod series;
mod sources;
mod strip;
mod thin;
mod walk;

pub use self::builder::Builder;
pub use self::changes::{Around, OwnWrites, Snapshot, Written};
pub use self::error::BuildError;
pub use self::kept::{Kept, Role, Standing, collect, names_of};
pub use self::making::{Made, Marked, Way};
pub use self::rules::is_rule;
pub use self::sources::Sources;
pub use self::walk::{Entry, Kind};
