//! The layers, and their resolution.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::model::name::ServiceName;
use crate::model::platform::{Platform, ServiceSpec};

/// Where a value came from, lowest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layer {
    /// `[configuration]` in `msctl.toml`.
    Platform,
    /// One of `[run] env_files` in `service.toml`, by its path.
    EnvFile(PathBuf),
    /// `[configuration]` in `service.toml`.
    Service,
    /// Stated by msctl; cannot be overridden.
    Msctl,
}

impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Platform => f.pad("msctl.toml"),
            Self::EnvFile(file) => f.pad(&file.to_string_lossy()),
            Self::Service => f.pad("service.toml"),
            Self::Msctl => f.pad("msctl"),
        }
    }
}

/// One resolved value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub value: String,
    pub layer: Layer,
}

impl Setting {
    /// The value as it may be shown: what is named like a secret is not.
    #[must_use]
    pub fn shown(&self, name: &str) -> &str {
        let secret = ["SECRET", "PASS", "TOKEN", "PRIVATE", "CREDENTIAL", "KEY"];
        let name = name.to_ascii_uppercase();
        // A URL with an "@" in its authority carries a password (RFC 3986, section 3.2.1).
        let authority = self.value.split_once("://").and_then(|(_, rest)| rest.split('/').next());
        let has_userinfo = authority.is_some_and(|authority| authority.contains('@'));
        if has_userinfo || secret.iter().any(|word| name.contains(word)) { "***" } else { &self.value }
    }
}

/// The addresses that depend on where the platform runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// The base URL of each service that may be called.
    pub calls: BTreeMap<ServiceName, String>,
    /// The base URL of the platform's own internal endpoints.
    pub platform: Option<String>,
    /// `DATABASE_URL`, for a service that has a database.
    pub database: Option<String>,
}

/// Every setting of a service, by name.
#[must_use]
pub fn settings(
    platform: &Platform,
    service: &ServiceSpec,
    addresses: &Addresses,
) -> BTreeMap<String, Setting> {
    let of_files = service.env_files.iter();
    let of_files = of_files.map(|file| (Layer::EnvFile(file.shown.clone()), file.variables.clone()));
    let own = [(Layer::Service, service.configuration.clone()), (Layer::Msctl, stated(service, addresses))];
    let layers = [(Layer::Platform, platform.configuration.clone())].into_iter().chain(of_files).chain(own);
    let mut settings = BTreeMap::new();
    for (layer, values) in layers {
        let setting = |value| Setting { value, layer: layer.clone() };
        settings.extend(values.into_iter().map(|(name, value)| (name, setting(value))));
    }
    settings
}

/// The settings as variables, sorted by name.
#[must_use]
pub fn environment(
    platform: &Platform,
    service: &ServiceSpec,
    addresses: &Addresses,
) -> Vec<(String, String)> {
    settings(platform, service, addresses).into_iter().map(|(name, setting)| (name, setting.value)).collect()
}

fn stated(service: &ServiceSpec, addresses: &Addresses) -> BTreeMap<String, String> {
    let mut stated = BTreeMap::from([("SERVICE_NAME".to_owned(), service.name.to_string())]);
    stated.extend(
        addresses
            .calls
            .iter()
            .map(|(callee, url)| (format!("{}_URL", callee.to_variable_stem()), url.clone())),
    );
    stated.extend(addresses.platform.clone().map(|url| ("MSCTL_URL".to_owned(), url)));
    stated.extend(addresses.database.clone().map(|url| ("DATABASE_URL".to_owned(), url)));
    stated
}
