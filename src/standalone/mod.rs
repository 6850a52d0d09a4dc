//! The gateway alone: no platform, no container engine, endpoints as a configuration lists them.
//!
//! The second composition root beside `platform`. [`Running`] holds the parts together: [`doors`]
//! are the open listeners, [`fleet`] owns what is known of the endpoints and publishes the route
//! table, [`resolve`] turns host names into addresses, [`health`] asks the endpoints how they are,
//! [`certificates`] are what listeners prove themselves with, [`tokens`] holds the keys by which
//! callers are known, [`admin`] says how the gateway itself is
//! ([`status`]). [`lines`] is the configuration in one line, [`difference`] what one changes about
//! another, [`files`] notices that one was written.
//!
//! A new configuration takes the path of the first one: everything that can fail is done before
//! anything is changed, and what did not change is not touched: listeners whose address stays,
//! connections, and all that is known of an endpoint.
//!
//! It does not read configurations and hears no signals: whoever runs it does.

pub mod admin;
pub mod certificates;
pub mod difference;
pub mod doors;
pub mod files;
pub mod fleet;
pub mod health;
pub mod lines;
pub mod resolve;
pub mod status;
pub mod succession;
pub mod tokens;

mod error;
mod log;
mod members;
mod running;

pub use error::StandaloneError;
pub use running::{Ended, Running};
