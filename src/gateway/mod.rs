//! The data plane: takes requests at a door, decides who may go where, and streams both bodies.
//!
//! A request passes named phases, one small function each, told in `proxy`: look at the message
//! (`message`, [`path`]), find the `destination` behind the [`door`] ([`table`], [`routes`]), check
//! the caller (`credential`, `guard`), rewrite the head (`visit`, `headers`), pick an instance
//! ([`policy::balance`]) and enter it ([`upstream`]), exchange (`exchange`, `tunnel`), record
//! ([`access_log`], [`metrics`]).
//!
//! It does NOT know where instances come from, who signs tokens, or that containers exist: it is
//! given a `watch::Receiver<Arc<RouteTable>>`, a `TokenVerifier` and the embedded handlers. It
//! serves the sockets that it is given ([`listen`](listen()) opens one) and stops when it is told to
//! ([`server::run`]).

pub mod access_log;
pub mod body;
pub mod door;
pub mod explain;
pub mod limits;
pub mod listen;
pub mod metrics;
pub mod path; // for the fuzz targets
pub mod server;
mod session;
pub mod site;
pub mod table;
mod tally;
pub mod tls;
pub mod upstream;

mod activity;
mod attempts;
mod client;
mod client_io;
mod client_stream;
mod compression;
mod connection;
mod connections;
mod cors;
mod credential;
mod descriptors;
mod destination;
mod error_page;
mod exchange;
mod finish;
mod flag;
mod forwarded;
mod going_back;
mod grpc;
mod guard;
mod gzip;
mod head_scan;
mod headers;
mod informational;
mod malformed;
mod message;
mod outgoing_head;
mod parting;
mod patience;
mod policy;
mod pool;
mod preface;
mod problem;
mod proxied_body;
mod proxy;
mod rate_headers;
mod redirect;
mod refusal;
mod request_id;
mod routes;
mod service;
mod service_state;
mod stall;
mod throttle;
mod to_tls;
mod trace_context;
mod tunnel;
mod tunnel_end;
mod upload;
mod verdict;
mod visit;
mod wants;
mod workers;

#[cfg(test)]
mod tests;

pub use access_log::{AccessLog, AccessLogError};
pub use body::Body;
pub use connections::ConnectionCounts;
pub use door::{Door, Embedded, EmbeddedService, Listener};
pub use explain::explain;
pub use limits::Limits;
pub use listen::{ListenOptions, listen};
pub use metrics::Metrics;
pub use parting::Farewell;
pub use proxy::Gateway;
pub use server::{Stopped, run};
pub use site::Site;
pub use table::{RouteRow, RouteTable};
pub use tls::Tls;
pub use upstream::{DrainOutcome, Upstreams};
pub use workers::Workers;
