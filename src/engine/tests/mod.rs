//! The whole engine over the runtime in memory: real loop, real plans, real probes.
//!
//! `stage` sets it up; each other file has one intent a test.

pub mod fixtures;

mod changes;
mod crashing;
mod deployment;
mod failing;
mod mortal;
mod recovery;
mod runs;
mod stage;
mod succeeding;
mod traffic;
mod watching;
