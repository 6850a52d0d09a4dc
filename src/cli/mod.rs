//! The command line: what can be typed, turned into a request for [`crate::ops`], and its outcome
//! handed to [`crate::ui`]. Nothing is decided here.
//!
//! [`command`] is the whole grammar; each verb has a file with its arguments and a `run` that makes
//! the request and shows the outcome.

pub mod command;

mod check;
mod describe;
mod doctor;
mod down;
mod du;
mod events;
mod exec;
mod gateway;
mod history;
mod inspect;
mod logs;
mod new;
mod ps;
mod rollback;
mod routes;
mod scale;
mod shell;
mod signals;
mod tls;
mod token;
mod top;
mod up;
mod user;
mod values;

pub use command::{Cli, run};
