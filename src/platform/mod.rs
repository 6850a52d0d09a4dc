//! The composition root: the only module that names all parts of a running platform.
//!
//! [`running`] binds, builds, spawns and stops them in order, with what [`opening`] opens. [`traffic`]
//! and [`wiring`] are the engine's ports, implemented over registry, gateway and auth; [`control`] is
//! what the admin door can ask for, [`sight`] what it shows of the gateway; [`bus`] carries events and
//! [`history`] writes down what became of deployments; [`keeping`] knows what builds have left, and
//! [`collector`] gives up what is old of it;
//! [`certificates`] keeps what the public door proves itself with. [`addresses`] says which URL leads to
//! whom, [`folder`] where state lives on disk. [`preview`] and [`teardown`] do one thing each without a
//! running platform: say what `up` would do, and let go of everything.
//!
//! A running platform can pass to another process without a gap: [`succession`] is the new one's
//! side and [`departure`] the old one's, [`note`] what is written down in between. [`doors`] are the
//! sockets to begin with, wherever they come from ([`mooring`] says where the public one is), [`sockets`] those that can be passed on.

pub mod addresses;
pub mod admin_door;
pub mod bus;
pub mod certificates;
pub mod collector;
pub mod control;
pub mod departure;
pub mod doors;
pub mod ending;
pub mod folder;
pub mod history;
pub mod keeping;
pub mod mooring;
pub mod note;
mod opening;
pub mod port_holder;
pub mod preview;
pub mod running;
pub mod sight;
pub mod sockets;
pub mod start_error;
pub mod succession;
pub mod teardown;
pub mod traffic;
pub mod watching;
pub mod wiring;
