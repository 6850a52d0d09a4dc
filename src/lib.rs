//! `msctl` scaffolds and runs a microservice platform.
//!
//! Start with ARCHITECTURE.md. In one sentence: what the manifest says ([`manifest`]) becomes a
//! [`model`], the [`engine`] compares it with what a [`runtime`] shows, a pure [`plan`] says what to
//! do, and the [`platform`] process serves everything behind one [`gateway`].

pub mod cli;
pub mod ui;

pub mod ops;

pub mod platform;
pub mod standalone;

pub mod engine;
pub mod plan;
pub mod runtime;

pub mod admin;
pub mod auth;
pub mod build;
pub mod certificates;
pub mod configuration;
pub mod gateway;
pub mod handover;
pub mod logs;
pub mod manifest;
pub mod registry;
pub mod scaffold;
pub mod store;
pub mod watch;

pub mod probe;

pub mod model;
