//! Asks an instance whether it can take requests: one question, one answer.
//!
//! When to ask, how often, and what an answer leads to is for those who ask: the engine while it
//! waits for a new instance, the gateway alone for as long as it runs.

mod http;
mod tcp;

pub use http::{fetch, get};
pub use tcp::connect;
