//! What is shown of a platform: a pure view of the manifest, the last look and the catalog.

use std::collections::BTreeMap;

use crate::model::catalog::{Catalog, EndpointState};
use crate::model::event::Failure;
use crate::model::name::ServiceName;
use crate::model::observed::{InstanceState, Observed, ObservedInstance};
use crate::model::platform::{Platform, ServiceSpec};
use crate::model::status::{InstanceStatus, Replicas, ServiceState, ServiceStatus};

/// The status of every service of the manifest, in the order of their names. Without a catalog no
/// platform process is there to route anything.
#[must_use]
pub fn of(
    platform: &Platform,
    observed: &Observed,
    catalog: Option<&Catalog>,
    scale: &BTreeMap<ServiceName, u16>,
) -> Vec<ServiceStatus> {
    let services = platform.services.values();
    services
        .map(|service| of_service(service, observed, catalog, scale.get(&service.name).copied()))
        .collect()
}

fn of_service(
    service: &ServiceSpec,
    observed: &Observed,
    catalog: Option<&Catalog>,
    scale: Option<u16>,
) -> ServiceStatus {
    let seen: Vec<&ObservedInstance> =
        observed.instances.iter().filter(|instance| instance.name.service == service.name).collect();
    let serves = |instance: &ObservedInstance| {
        let endpoints = catalog.and_then(|catalog| catalog.services.get(&service.name)).into_iter().flatten();
        endpoints.into_iter().any(|e| e.instance == instance.name && e.state == EndpointState::Ready)
    };
    let ready = seen.iter().filter(|instance| serves(instance)).count();
    let newest = |instances: &mut dyn Iterator<Item = &&ObservedInstance>| {
        instances.map(|instance| instance.name.generation.number()).max()
    };
    let serving = newest(&mut seen.iter().filter(|instance| serves(instance)));
    let replicas = Replicas { ready, wanted: usize::from(scale.unwrap_or(service.run.replicas)) };
    ServiceStatus {
        name: service.name.to_string(),
        state: state(replicas, &seen, catalog),
        generation: serving.or_else(|| newest(&mut seen.iter())),
        replicas,
        failures: 0,
        problem: None,
        log: None,
        routes: prefixes(service),
        instances: seen.iter().map(|instance| of_instance(instance, serves(instance))).collect(),
    }
}

/// Each prefix once, though several routes may share it.
fn prefixes(service: &ServiceSpec) -> Vec<String> {
    let mut prefixes: Vec<String> = service.routes.iter().map(|route| route.prefix.to_string()).collect();
    prefixes.dedup();
    prefixes
}

fn state(replicas: Replicas, seen: &[&ObservedInstance], catalog: Option<&Catalog>) -> ServiceState {
    match catalog {
        None if seen.iter().any(|instance| instance.state.is_running()) => ServiceState::Unattended,
        None => ServiceState::Stopped,
        Some(_) if replicas.ready >= replicas.wanted => ServiceState::Ready,
        Some(_) if replicas.ready > 0 => ServiceState::Degraded,
        Some(_) => ServiceState::Starting,
    }
}

fn of_instance(instance: &ObservedInstance, serving: bool) -> InstanceStatus {
    let since = match instance.state {
        InstanceState::Running { since } | InstanceState::Renamed { since } => Some(since),
        _ => None,
    };
    InstanceStatus {
        name: instance.name.to_string(),
        handle: instance.handle.clone(),
        state: instance.state.to_string(),
        address: instance.address.map(|address| address.to_string()),
        since,
        serving,
    }
}

/// Adds to a status that the service has failed `count` times in a row.
pub fn add_trouble(service: &mut ServiceStatus, count: u32, crash_loop: u32, failure: &Failure) {
    service.failures = count;
    // Also where an earlier version serves: that the new one fails is what its author has to know.
    service.problem = Some(failure.message.clone());
    service.log.clone_from(&failure.log);
    if service.state != ServiceState::Ready && service.replicas.ready == 0 {
        service.state = if count >= crash_loop { ServiceState::CrashLooping } else { ServiceState::Failed };
    }
}
