//! The one integration binary: every topic is a module, what they share is in `harness`.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]

mod binary;
mod contract;
mod docker;
mod e2e;
mod gateway;
mod harness;
mod house;
mod layering;
mod packing;
