//! The composition root: the only module that names all parts of a running platform.
//!
//! [`running`] binds, builds, spawns and stops them in order. [`traffic`] and [`wiring`] are the
//! engine's ports, implemented over registry, gateway and auth; [`control`] is what the admin door
//! can ask for; [`bus`] carries events; [`certificates`] keeps what the public door proves itself with. [`addresses`] says which URL leads to whom, [`folder`] where
//! state lives on disk. [`preview`] and [`teardown`] do one thing each without a running platform:
//! say what `up` would do, and let go of everything.

pub mod addresses;
pub mod bus;
pub mod certificates;
pub mod control;
pub mod folder;
pub mod port_holder;
pub mod preview;
pub mod running;
pub mod teardown;
pub mod traffic;
pub mod wiring;
