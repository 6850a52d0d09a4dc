//! Real files, and the kernel as it is. Every wait is for a report, with a deadline.

pub mod fixtures;
mod stage;

mod bursts;
mod ending;
mod folders;
mod limits;
mod links;
mod manifests;
mod polling;
mod saves;
