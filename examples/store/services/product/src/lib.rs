//! The product service: what the store sells, and for how much.
//!
//! - [`domain`] says what a product is; it knows neither HTTP nor SQL
//! - [`store`] keeps products in `SQLite`
//! - [`http`] is how the world sees them
//! - [`settings`] and [`log`] are the service's manners

pub mod domain;
pub mod http;
pub mod log;
pub mod settings;
pub mod store;
