//! The drop test: constant load of several protocols on a service that is edited again and again. No request
//! fails, and once an edition is announced to be live, nobody is answered by an earlier one.
//!
//! The tests here are its short form; `tests/bench/drop` has the long one.

mod herald;
mod long;
mod report;
mod rounds;
mod service;
mod short;
mod verdict;
