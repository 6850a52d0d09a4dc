//! From `msctl.toml` and every `service.toml` to a [`Platform`](crate::model::platform::Platform).
//!
//! [`find()`] walks up to the nearest manifest; [`load()`] reads it and the files it names, checks each
//! file on its own and then the platform as a whole. What it returns is valid; what it refuses, it
//! refuses with every problem at once, each with its place, its line and what to do about it.
//!
//! How: TOML is parsed into a tree that keeps byte spans (`syntax`); a `section` hands out its
//! keys one by one and calls what nobody asked for unknown. A reader that meets a problem reports it
//! and goes on with a stand-in, so one mistake does not hide the next. Whether anything was reported
//! is asked once, at the end of [`load()`].
//!
//! It does not build, start or look at an engine, does not check that sources or Dockerfiles exist,
//! and never writes.
//!
//! Reading order: `load`, `platform_file` with `gateway_section`, `service_file` and its parts
//! (`build_section` with `shared_folders`, `run_section` with `env_file`, `routes_section` with
//! `policy_section`, `traffic_section`, `variables`), `discovery`, `checkout`, `checks`; then what they
//! stand on: `section`, `fields`, `values`, `ground`, `env_lines`, `syntax`,
//! `source`, `diagnostic`.

mod error;
mod find;
mod identify;
mod load;

mod platform_file;
mod service_file;

pub mod gateway_file;
mod static_service;
mod token_section;

mod build_section;
mod cors_section;
mod env_file;
mod env_lines;
mod gateway_section;
mod policy_section;
mod routes_section;
mod run_section;
mod shared_folders;
mod tls_settings;
mod traffic_section;
mod variables;

mod checkout;
mod checks;
mod discovery;

mod diagnostic;
mod excerpt;
mod fields;
mod ground;
mod problems;
mod request_key;
mod section;
mod source;
mod suggestion;
mod syntax;
mod values;

pub use diagnostic::{Diagnostic, Diagnostics};
pub use error::ManifestError;
pub use find::{MANIFEST_FILE, find};
pub use identify::{identify, worktree};
pub use load::load;
pub use service_file::SERVICE_FILE;

#[cfg(test)]
mod tests;
