//! Constant load of several protocols on a gateway, by clients that take no failure for an answer.
//!
//! The load is open: what is to be asked has its time, and is asked then, whatever became of what was asked
//! before. How long an answer took counts from that time, so that nothing that was waited for is left out.
//! Everything is written into a [`Ledger`]; whether it was as it should be is for others to say.

mod frames;
mod http1;
mod http2;
mod ledger;
mod load;
mod message;
mod socket;
mod stream;

pub use ledger::{Answer, Cut, Entries, Failure, Kind, Ledger, Voice};
pub use load::{Load, Mix};
