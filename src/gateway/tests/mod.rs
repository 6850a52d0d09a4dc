//! The gateway end to end: real sockets on loopback, port 0, no sleeps that wait for luck.
//!
//! Clients are raw sockets, since most of what is tested is what a well-behaved client never sends.

mod backend;
mod frames;
mod harness;
mod log;
mod store;
mod streams;
mod wire;

mod access;
mod balancing;
mod browsers;
mod caller;
mod compressing;
mod connections;
mod corpus;
mod deadlines;
mod draining;
mod floods;
mod framing;
mod going_back;
mod grpc;
mod identity;
mod metrics;
mod misbehaving;
mod pairings;
mod retrying;
mod routing;
mod sharing;
mod stalling;
mod streaming;
mod tls;
mod tracing;
mod tunnels;
