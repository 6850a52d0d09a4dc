//! Whole platforms through the `msctl` program, on a real engine and as local processes. One intent
//! a scenario; nothing waits for time to pass, only for something to become true.

mod calls;
mod client;
mod collecting;
mod compiled;
mod drop;
mod failures;
mod faults;
mod isolation;
mod kills;
mod neighbours;
mod redeploy;
mod repair;
mod services;
mod stage;
mod store;
mod streaming;
mod templates;
mod tools;
mod witness;
