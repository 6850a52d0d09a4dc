//! How the world sees accounts: routes, identity, problems, request ids.

mod accounts;
mod body;
mod caller;
mod health;
mod problem;
mod request;
mod service;

pub use service::{Service, router, serve};
