//! What the tests share: programs to run, and engines to run them on.

pub mod clock;
pub mod dockerd;
pub mod engine;
pub mod http;
pub mod image;
pub mod load;
pub mod msctl;
pub mod plain;
pub mod platform;
pub mod processes;
pub mod proxy;
pub mod responder;
pub mod skipped;
pub mod traffic;
pub mod wait;
