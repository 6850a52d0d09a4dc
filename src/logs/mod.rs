//! The output of instances, put together: several streams merged into one by time, bounded.
//!
//! The lines themselves come from a [`crate::runtime::Runtime`], which keeps and rotates them. This
//! room does not parse what services print and does not colour it.

mod merge;
mod since;

pub use merge::{Entry, merge};
pub use since::{SinceError, parse_since};
