//! What the tests share: programs to run, and engines to run them on.

pub mod responder;
