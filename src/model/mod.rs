//! The nouns of msctl: names, specifications, what is wanted, what was seen.
//!
//! Everything here is plain data that is valid once it exists. The module imports nothing else of
//! ours and no runtime, HTTP or engine library: those arrows all point towards it.
//!
//! Reading order: [`name`], [`quantity`], [`route`], [`platform`] (what the user wrote),
//! [`instance`] (what runs), [`desired`] and [`observed`] (what planning compares),
//! [`catalog`] (what the gateway routes to), [`principal`] (who calls), [`event`] (what happened),
//! [`deployment`] and [`history`] (what became of each generation), [`usage`] (what builds left),
//! [`standalone`] (what a gateway without a platform is told).

pub mod catalog;
pub mod cookie;
pub mod deployment;
pub mod desired;
pub mod difference;
pub mod event;
pub mod exit;
pub mod explanation;
pub mod histogram;
pub mod history;
pub mod instance;
pub mod name;
pub mod observed;
pub mod outcome;
pub mod path;
pub mod platform;
pub mod principal;
pub mod quantity;
pub mod route;
pub mod standalone;
pub mod status;
pub mod traffic;
pub mod usage;

#[cfg(test)]
pub mod testing;
