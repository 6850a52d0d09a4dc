//! The container runtime on a real engine: what only it does, beside the contract that every
//! runtime keeps.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test, which is what it is for")]

mod building;
mod cancelling;
mod containers;
mod output;
mod platform;
mod sharing;
mod thin;
