//! The control loop: observe → plan → execute, again whenever something may have changed.
//!
//! - [`state`] decides, purely, what an [`input`] means: reconcile now, later, or forget an instance.
//! - [`driver`] selects over everything that can happen and obeys; [`handle`] is how it is reached.
//! - [`decision`] looks and plans, for it.
//! - [`desire`] turns the manifest into what planning compares (digests, hashes).
//! - [`deployments`] says of a plan which deployments begin with it, and why.
//! - [`executor`] walks a plan in parallel and decides nothing; [`workshop`] is where it builds, [`arrivals`]
//!   knows when a generation has taken over.
//! - [`trouble`] is how a service fails, and when it is tried again.
//! - [`status`] is what `ps` shows of all that.
//! - [`waiters`] are those who asked for something and are told how it went.
//! - [`rest`] holds it still while another process takes over.
//! - [`observer`] keeps the latest snapshot; [`probe`] asks an instance whether it is ready.
//!
//! The engine reaches instances through [`crate::runtime::Runtime`] and requests through the ports
//! in [`ports`]. It names neither an HTTP server nor a container engine.

mod arrivals;
mod decision;
mod deployments;
pub mod desire;
pub mod drift;
mod driver;
pub mod executor;
mod handle;
pub mod input;
pub mod observer;
pub mod ports;
pub mod probe;
pub mod rest;
pub mod state;
pub mod status;
pub mod trouble;
mod waiters;
mod workshop;

pub use decision::{let_go, preview};
pub use deployments::Save;
pub use handle::{Applied, Engine, EngineParts, Stopping};
pub use input::Wishes;
pub use rest::Rest;

#[cfg(test)]
mod tests;
