//! Platforms to watch.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use crate::model::name::{PlatformId, Worktree};
use crate::model::platform::{
    AuthSettings, Budget, Build, Database, EnvFile, GatewaySettings, Health, Limits, Platform, Run,
    ServiceSpec,
};
use crate::model::quantity::{ByteSize, Cpus, Port};
use crate::model::traffic::TrafficPolicy;

pub fn platform(root: &Path, patterns: &[&str], services: impl IntoIterator<Item = ServiceSpec>) -> Platform {
    Platform {
        id: PlatformId { name: "store".parse().unwrap(), worktree: Worktree::from_hex("3fa9c1").unwrap() },
        checkout: None,
        root: root.to_owned(),
        manifest: root.join("msctl.toml"),
        service_folders: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
        gateway: GatewaySettings::at("127.0.0.1:0".parse().unwrap()),
        auth: AuthSettings { access_token_ttl: Duration::from_secs(600), issuer: None },
        configuration: BTreeMap::new(),
        image_aliases: BTreeMap::new(),
        budget: Budget::default(),
        services: services.into_iter().map(|service| (service.name.clone(), service)).collect(),
    }
}

/// Built by a command that leaves `app` in the service's folder.
pub fn service(name: &str, folder: &Path) -> ServiceSpec {
    let limits =
        Limits { memory: ByteSize::from_mebibytes(64), cpus: Cpus::from_count(1.0).unwrap(), pids: 64 };
    let health = Health {
        path: "/health/ready".to_owned(),
        start_period: Duration::from_secs(2),
        timeout: Duration::from_secs(1),
    };
    let port = Port::try_from(8080).unwrap();
    ServiceSpec {
        name: name.parse().unwrap(),
        context: None,
        folder: folder.to_owned(),
        build: Build::Pack { command: "make".to_owned(), artifact: "app".to_owned() },
        shared: BTreeSet::new(),
        process: None,
        run: Run { port, replicas: 1, limits, health, stop_grace: Duration::from_secs(1) },
        routes: Vec::new(),
        traffic: TrafficPolicy::default(),
        calls: BTreeSet::new(),
        database: Database::None,
        env_files: Vec::new(),
        configuration: BTreeMap::new(),
    }
}

/// Built from this folder, too.
pub fn sharing(mut service: ServiceSpec, folder: &Path) -> ServiceSpec {
    service.shared.insert(folder.to_owned());
    service
}

/// With variables from this file.
pub fn given(mut service: ServiceSpec, file: &Path) -> ServiceSpec {
    let (shown, paths) = (file.to_owned(), [file.to_owned()].into());
    service.env_files.push(EnvFile { shown, paths, variables: BTreeMap::new() });
    service
}
