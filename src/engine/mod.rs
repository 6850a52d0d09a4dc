//! The control loop: observe → plan → execute, again whenever something may have changed.
//!
//! - [`state`] decides, purely, what an input means: reconcile now, later, or forget an instance.
//! - [`driver`] selects over everything that can happen and obeys.
//! - [`desire`] turns the manifest into what planning compares (digests, hashes).
//! - [`executor`] walks a plan in parallel and decides nothing.
//! - [`status`] is what `ps` shows of all that.
//! - [`rest`] holds it still while another process takes over.
//! - [`observer`] keeps the latest snapshot; [`probe`] asks an instance whether it is ready.
//!
//! The engine reaches instances through [`crate::runtime::Runtime`] and requests through the ports
//! in [`ports`]. It names neither an HTTP server nor a container engine.

pub mod desire;
pub mod driver;
pub mod executor;
pub mod observer;
pub mod ports;
pub mod probe;
pub mod rest;
pub mod state;
pub mod status;

pub use driver::{Engine, EngineParts, Stopping, let_go, preview};
pub use rest::Rest;
pub use state::Wishes;

#[cfg(test)]
mod tests;
