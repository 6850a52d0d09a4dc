//! Local processes.
//!
//! [`Process`] runs each instance as a process group of its own on this machine, for places without
//! a container engine. Linux only: it reads `/proc` and signals through process descriptors. It does
//! not enforce limits, does not separate file systems or networks, and cannot run images.
//!
//! The environment of a process carries the platform's labels ([`labels`]), so what runs is found
//! again by looking at `/proc` ([`table`]); no file is needed for that. Three things are kept in the
//! state folder: the output of each instance ([`output`]), how ended ones ended ([`exits`]) and the
//! services' data ([`folders`]).
//!
//! Reading order: [`labels`], [`table`], [`folders`], [`exits`], [`world`] (what is observed),
//! [`launch`], [`stop`], [`output`] and [`follow`] (logs), [`runtime`] (the contract).

mod exits;
mod folders;
mod follow;
mod labels;
mod launch;
mod output;
mod runtime;
mod stop;
mod table;
mod world;

pub use self::folders::data_folder;
pub use self::runtime::Process;
