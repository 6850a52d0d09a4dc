//! What the platform tells this service through its environment, read once.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::log::Level;

#[derive(Debug)]
pub struct Settings {
    pub service: String,
    pub generation: String,
    pub listen: SocketAddr,
    pub database: PathBuf,
    pub log_level: Level,
}

impl Settings {
    /// Every variable has a default that suits a developer who starts the program by hand.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let host =
            variable("HOST").and_then(|text| text.parse().ok()).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let port = variable("PORT").and_then(|text| text.parse().ok()).unwrap_or(8080);
        let database = variable("DATABASE_URL").unwrap_or_else(|| "sqlite:product.db".to_owned());
        Self {
            service: variable("SERVICE_NAME").unwrap_or_else(|| "product".to_owned()),
            generation: variable("SERVICE_GENERATION").unwrap_or_else(|| "0".to_owned()),
            listen: SocketAddr::new(host, port),
            database: file_of(&database),
            log_level: variable("LOG_LEVEL").and_then(|text| text.parse().ok()).unwrap_or(Level::Info),
        }
    }
}

/// `sqlite:///data/product.db` is the absolute `/data/product.db`, `sqlite:product.db` is relative.
fn file_of(url: &str) -> PathBuf {
    let path = url.strip_prefix("sqlite:").unwrap_or(url);
    PathBuf::from(path.strip_prefix("//").unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_url_names_a_file() {
        assert_eq!(file_of("sqlite:///data/product.db"), PathBuf::from("/data/product.db"));
        assert_eq!(file_of("sqlite:product.db"), PathBuf::from("product.db"));
    }

    #[test]
    fn the_platform_decides_the_port_and_the_level() {
        let settings = Settings::from_environment(|name| match name {
            "PORT" => Some("9000".to_owned()),
            "LOG_LEVEL" => Some("WARN".to_owned()),
            _ => None,
        });
        assert_eq!((settings.listen.port(), settings.log_level), (9000, Level::Warn));
    }
}
