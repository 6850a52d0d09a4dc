//! What the service is told by its environment, read once, at the start.

use std::env;
use std::net::{IpAddr, Ipv4Addr};

pub struct Settings {
    pub host: IpAddr,
    pub port: u16,
    /// `sqlite:///data/orders.db`; nothing is kept without it.
    pub database_url: Option<String>,
}

impl Settings {
    pub fn from_environment() -> Result<Self, String> {
        Ok(Self {
            host: parse("HOST", IpAddr::V4(Ipv4Addr::UNSPECIFIED))?,
            port: parse("PORT", 8080)?,
            database_url: env::var("DATABASE_URL").ok(),
        })
    }
}

fn parse<T: std::str::FromStr>(variable: &str, default: T) -> Result<T, String> {
    match env::var(variable) {
        Ok(text) => text
            .parse()
            .map_err(|_| format!("{variable} cannot be {text:?}")),
        Err(_) => Ok(default),
    }
}
