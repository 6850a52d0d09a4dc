//! The decisions of traffic control, apart from what carries them out.
//!
//! Each part is a function or a small state machine of (state, event, now): no I/O, no clock and no
//! randomness of its own, nothing allocated per request. What many threads share is made of atomics;
//! the two exceptions, [`outlier::Ejections`] and [`limiter`], say where they lock. Policies
//! ([`crate::model::traffic`]) are handed in with every call, so state survives their change.
//!
//! For one request they are asked in this order: [`limiter`] (is this client too fast?), [`budget`]
//! (is the service full?), then for each try [`breaker`] (is it worth trying?), [`canary`] and
//! [`balance`] (which instance?); its answer is told to [`outlier`] and [`breaker`], and [`retry`]
//! and [`budget`] say whether there is another try.

pub mod balance;
pub mod breaker;
pub mod budget;
pub mod canary;
pub mod limiter;
pub mod outlier;
pub mod rendezvous;
pub mod retry;

mod numbers;

#[cfg(test)]
mod simulation;
