//! What the tests share: programs to run, and engines to run them on.

pub mod engine;
pub mod image;
pub mod responder;
pub mod wait;
