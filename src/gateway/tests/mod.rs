//! The gateway end to end: real sockets on loopback, port 0, no sleeps that wait for luck.
//!
//! Clients are raw sockets, since most of what is tested is what a well-behaved client never sends.

mod backend;
mod harness;
mod wire;

mod access;
mod balancing;
mod caller;
mod corpus;
mod draining;
mod framing;
mod identity;
mod misbehaving;
mod routing;
mod streaming;
