//! What each command does, one file a verb: the story of a command in one screen.
//!
//! Nothing here parses arguments or prints. A verb takes a request and a [`Context`], and gives an
//! outcome; what happens meanwhile is told through [`crate::model::event::Event`]s.

pub mod context;
pub mod error;

pub mod doctor;
pub mod down;
pub mod du;
pub mod events;
pub mod exec;
pub mod gateway;
pub mod history;
pub mod host;
pub mod logs;
pub mod new;
pub mod ps;
pub mod rollback;
pub mod routes;
pub mod tls;
pub mod token;
pub mod top;
pub mod up;
pub mod user;

pub mod change;
pub mod detached;
mod patience;
mod program;
pub mod target;

pub use context::Context;
pub use error::OpsError;
