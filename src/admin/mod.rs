//! The admin door: HTTP over a unix socket that only its owner may open (0600).
//!
//! [`wire`] says what travels, [`Control`] what the running platform must be able to do,
//! [`server`] serves it and [`client`] asks it. Nothing is decided here.

pub mod client;
pub mod server;
pub mod wire;

pub use wire::{
    Change, Control, Message, Refusal, RouteRow, RouteTraffic, ServiceTraffic, Traffic, TrafficReport,
};
