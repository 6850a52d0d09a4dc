//! Platforms and services to try things on, for the tests of all rooms. What a room needs otherwise, it changes:
//! `ServiceSpec { folder, ..service("order", &[]) }`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::instance::InstanceName;
use super::name::{PlatformId, ServiceName, Worktree};
use super::platform::{
    AuthSettings, Budget, Build, Database, GatewaySettings, Health, Limits, Platform, Run, ServiceSpec,
};
use super::quantity::{ByteSize, Cpus, Port};
use super::traffic::TrafficPolicy;

pub fn platform_id() -> PlatformId {
    PlatformId { name: "store".parse().unwrap(), worktree: Worktree::from_hex("3fa9c1").unwrap() }
}

/// In a folder that is not there.
pub fn platform(services: impl IntoIterator<Item = ServiceSpec>) -> Platform {
    Platform {
        id: platform_id(),
        checkout: None,
        root: PathBuf::from("/nowhere"),
        manifest: PathBuf::from("/nowhere/msctl.toml"),
        service_folders: vec!["*".to_owned()],
        gateway: GatewaySettings::at("127.0.0.1:0".parse().unwrap()),
        auth: AuthSettings { access_token_ttl: Duration::from_secs(600), issuer: None },
        configuration: BTreeMap::new(),
        image_aliases: BTreeMap::new(),
        budget: Budget::default(),
        services: services.into_iter().map(|service| (service.name.clone(), service)).collect(),
    }
}

/// One replica of the image `<name>:1`, which is given two seconds to get ready.
pub fn service(name: &str, calls: &[&str]) -> ServiceSpec {
    let limits =
        Limits { memory: ByteSize::from_mebibytes(64), cpus: Cpus::from_count(1.0).unwrap(), pids: 64 };
    let health = Health {
        path: "/health/ready".to_owned(),
        start_period: Duration::from_secs(2),
        timeout: Duration::from_secs(1),
    };
    let port = Port::try_from(8080).unwrap();
    ServiceSpec {
        name: name_of(name),
        context: None,
        folder: PathBuf::from("/nowhere").join(name),
        build: Build::Image { reference: format!("{name}:1") },
        shared: BTreeSet::new(),
        process: None,
        run: Run { port, replicas: 1, limits, health, stop_grace: Duration::from_secs(1) },
        routes: Vec::new(),
        traffic: TrafficPolicy::default(),
        calls: names(calls),
        database: Database::None,
        env_files: Vec::new(),
        configuration: BTreeMap::new(),
    }
}

pub fn with_replicas(mut service: ServiceSpec, replicas: u16) -> ServiceSpec {
    service.run.replicas = replicas;
    service
}

pub fn name_of(service: &str) -> ServiceName {
    service.parse().unwrap()
}

pub fn names(services: &[&str]) -> BTreeSet<ServiceName> {
    services.iter().map(|service| name_of(service)).collect()
}

/// From its written form: `order.v1.1`.
pub fn instance(text: &str) -> InstanceName {
    InstanceName::read(text).unwrap()
}
