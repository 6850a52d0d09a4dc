//! What a service is configured with, and where each value came from.
//!
//! Settings come in layers, a higher one winning: what the platform gives every service
//! (`[configuration]` in `msctl.toml`), the files that a service names (`[run] env_files`), the service's
//! own (`[configuration]` in `service.toml`), and what the platform itself states (`SERVICE_NAME`,
//! addresses, `DATABASE_URL`). The result is injected as variables when an instance starts. Serving it
//! live is a later part of this room.

mod layers;

pub use layers::{Addresses, Layer, Setting, environment, settings};
