//! What to do, decided from two snapshots and nothing else.
//!
//! [`decide::plan`] compares what is wanted with what runs and with what takes requests, and gives
//! a [`step::Plan`]: steps with the steps they wait for, each with its cause. A plan prints as text;
//! `msctl up --plan` shows that text and the tests assert it.
//!
//! Nothing here waits, reads a clock or talks to an engine.

mod callees;
mod decide;
mod policy;
mod step;

#[cfg(test)]
pub(crate) mod tests;

pub use callees::held_back;
pub use decide::{plan, put_off};
pub use policy::{Leaving, Policy, WATCH_WINDOW};
pub use step::{Action, Cause, Plan, Step, StepId};
