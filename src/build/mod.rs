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
//! It decides nothing about when to build, and runs nothing that was built.
//!
//! Reading order: [`builder`] (what happens), [`sources`], [`rules`], [`digest`] and [`walk`] (what it is made from),
//! [`command`] (shell commands), [`place`] (where things are kept), [`pack`] with [`elf`] and
//! [`archive`], [`context`] with [`dockerfile`] and [`dockerignore`], [`error`].
//!
//! [`BuildDigest`]: crate::model::instance::BuildDigest

mod archive;
mod builder;
mod command;
mod context;
mod digest;
mod dockerfile;
mod dockerignore;
mod elf;
mod error;
mod pack;
mod place;
mod rules;
mod sources;
mod walk;

pub use self::builder::Builder;
pub use self::error::BuildError;
pub use self::rules::is_rule;
pub use self::sources::Sources;
pub use self::walk::{Entry, Kind};
