//! The composition root: the only module that names all parts of a running platform.
//!
//! [`running`] binds, builds, spawns and stops them in order; [`traffic`] and [`wiring`] are the
//! engine's ports, implemented over registry, gateway and auth; [`control`] is what the admin door
//! can ask for; [`bus`] carries events; [`folder`] is where a platform's state lives on disk.

pub mod bus;
// pub mod control;
pub mod folder;
// pub mod running;
// pub mod traffic;
// pub mod wiring;
