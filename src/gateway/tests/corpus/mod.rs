//! The standard as data: one [`row`] a rule, with the place that it comes from, the bytes that are
//! sent, what has to come back and what the instance must have seen.
//!
//! A row is sent as it stands on a connection of its own. That its connection is *kept* is proved
//! by another request on it, which also shows that nothing of the row was taken for a request.
//! Rows never get laxer to pass; where a document leaves a choice, the row says so.

mod frames;
mod recorder;
mod row;
mod run;

mod answers;
mod chunks;
mod connections;
mod forged;
mod framing;
mod h2_abuse;
mod h2_messages;
mod hop_by_hop;
mod host;
mod limits;
mod loops;
mod methods;
mod paths;
mod smuggling;
