//! What is known about each request, noted once its last byte was handed on or the client has gone:
//! in the [`metrics`](super::metrics), and as one line of JSON in the [`AccessLog`].
//!
//! The line is made on the request's own thread, in a buffer that is used again, and queued; one
//! thread writes. The query is left out: it may hold what nobody should read.

mod file;
mod line;
mod queue;
mod record;
mod refused;
mod target;

pub use queue::AccessLog;
pub(super) use record::{Observer, Record, Recorded, Tries};
pub(super) use refused::Origin;
pub use target::AccessLogError;
