//! Accounts and tokens of a platform: who somebody is, proven locally, without a hop.
//!
//! Two independent halves meet in [`facade`]:
//! - **tokens**: [`keys`] (one signing key, made at the first start), [`claims`] (what a token says),
//!   [`issue`] (signing), [`verify`] (the gateway's check, with a [`cache`]), [`foreign`] (the check
//!   where another issuer signs), [`inspect`] (for people, about any token);
//! - **accounts**: [`password`] (argon2id, bounded), [`throttle`] (how many wrong guesses),
//!   [`accounts`] (register, log in, renew, log out), [`http`] (the same as `/auth/*`),
//!   [`problem`] (how errors look there).
//!
//! It does not decide which route needs what (the gateway does), and it is not an OAuth 2
//! authorization server: there are no clients, grants or consent here.

pub mod keys;

pub mod claims;

pub mod issue;

pub mod cache;
pub mod foreign;
pub mod inspect;
pub mod verify;

pub mod accounts;
pub mod email;
pub mod password;
pub mod throttle;

pub mod http;
pub mod problem;

pub mod facade;

mod base64;
mod random;

pub use facade::{Auth, AuthError, AuthOptions, delete_accounts};
pub use issue::{Signer, TokenRequest};
