//! How things look. Data goes to stdout, talk to stderr; without a terminal nothing moves and
//! nothing asks. This module knows the nouns of [`crate::model`] and nothing of how they come about.
//!
//! - [`printer`] is the only place that writes to the terminal.
//! - [`live`] is a screen that is drawn again and again.
//! - [`progress`] shows what happens as it happens.
//! - [`happening`] is an event as a line, [`waterfall`] a deployment.
//! - [`text`] formats durations, ages and text that came from elsewhere.

pub mod happening;
pub mod live;
pub mod printer;
pub mod progress;
pub mod text;
pub mod waterfall;
