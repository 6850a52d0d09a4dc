//! The account service: what the store knows of the people who use it.
//!
//! Who may sign in, and with what password, is not known here: that is the platform's.
//!
//! - [`domain`] says what an account is, and who may see it; it knows neither HTTP nor SQL
//! - [`store`] keeps accounts in `SQLite`
//! - [`http`] is how the world sees them
//! - [`settings`] and [`log`] are the service's manners

pub mod domain;
pub mod http;
pub mod log;
pub mod settings;
pub mod store;
