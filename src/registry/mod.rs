//! The owner of live instances. Nobody else changes the catalog; everybody else reads snapshots.
//!
//! The registry does not look at the world and probes nothing: the engine tells it. A
//! Consul-compatible face of the same data is a later part of this room.

mod instances;

pub use instances::Registry;
