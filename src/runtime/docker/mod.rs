//! Containers, through bollard: one private network per platform, one container per instance.
//!
//! The labels are the truth: whatever is stopped, removed or listed is found by them, never by its
//! name alone, so that a renamed container is still ours and a stranger's of our name never is.
//! Works with Docker 20.10 (API 1.41) and later, and with Podman's socket where that costs nothing.
//!
//! Not done here: publishing ports, health checks and restarts. The gateway dials the containers'
//! own addresses, and the engine probes and supervises.
//!
//! Reading order: `connect` (which engine), `port` (the [`Runtime`](super::Runtime) it is),
//! `network`, `specification` and `containers`, `observe` and `changes`, `logs`, `exec`, `images`
//! with `build`, `transcript`, `extend`, `look` and `keep`, `tear_down`; `errors` is where bollard's become ours.

mod build;
mod changes;
mod connect;
mod containers;
mod errors;
mod exec;
mod extend;
mod images;
mod keep;
mod logs;
mod look;
mod network;
mod observe;
mod port;
mod specification;
mod tear_down;
mod terminal;
mod transcript;

pub use connect::Docker;
