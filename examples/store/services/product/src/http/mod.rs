//! How the world sees products: routes, identity, problems, request ids.

mod body;
mod caller;
mod health;
mod problem;
mod products;
mod request;
mod service;

pub use service::{Service, router, serve};
