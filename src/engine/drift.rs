//! What differs from what is wanted although nobody has asked for anything: somebody meddled with the
//! engine, or nobody told of an end. Looked for at every look, so it reads no sources and asks nobody.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::catalog::{Catalog, EndpointState};
use crate::model::instance::{InstanceName, SpecHash};
use crate::model::name::ServiceName;
use crate::model::observed::{InstanceState, Observed, ObservedInstance};
use crate::model::platform::Platform;

/// One thing that a plan would change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Drift {
    pub service: ServiceName,
    /// What it is about: an instance, or the service.
    pub subject: String,
    /// To be said after the subject.
    pub state: String,
}

/// What a look is compared with.
#[derive(Debug)]
pub struct Wanted<'a> {
    pub platform: &'a Platform,
    pub scale: &'a BTreeMap<ServiceName, u16>,
    /// Of the services that were planned for; of others nothing is known.
    pub versions: &'a BTreeMap<ServiceName, SpecHash>,
    /// Services that are somebody's business already, or nobody's.
    pub apart: BTreeSet<ServiceName>,
}

impl Wanted<'_> {
    /// All that differs.
    #[must_use]
    pub fn differs(&self, observed: &Observed, catalog: &Catalog) -> BTreeSet<Drift> {
        let seen = observed.instances.iter().filter(|seen| !self.apart.contains(&seen.name.service));
        let instances = seen.filter_map(|seen| {
            let state = self.deviation(seen, catalog)?;
            Some(Drift { service: seen.name.service.clone(), subject: seen.name.to_string(), state })
        });
        let services = self.platform.services.keys().filter(|name| !self.apart.contains(*name));
        instances.chain(services.filter_map(|service| self.shortage(service, observed))).collect()
    }

    fn deviation(&self, seen: &ObservedInstance, catalog: &Catalog) -> Option<String> {
        let service = &seen.name.service;
        if !self.platform.services.contains_key(service) {
            return Some("belongs to no service".to_owned());
        }
        self.versions.get(service)?;
        match seen.state {
            // One of another version that does take some waits for its successor.
            InstanceState::Running { .. } if !takes_requests(&seen.name, catalog) => {
                Some("runs and takes no requests".to_owned())
            }
            InstanceState::Running { .. } => None,
            other => Some(other.to_string()),
        }
    }

    /// Instances that somebody removed leave nothing to look at.
    fn shortage(&self, service: &ServiceName, observed: &Observed) -> Option<Drift> {
        let spec = self.platform.services.get(service)?;
        self.versions.get(service)?;
        let wanted = usize::from(self.scale.get(service).copied().unwrap_or(spec.run.replicas));
        let of_service = observed.instances.iter().filter(|seen| seen.name.service == *service);
        let there = of_service.filter(|seen| seen.state.is_running()).count();
        let state = || format!("has {there} of {wanted} instances");
        (there < wanted).then(|| Drift {
            service: service.clone(),
            subject: service.to_string(),
            state: state(),
        })
    }
}

fn takes_requests(instance: &InstanceName, catalog: &Catalog) -> bool {
    let mut of_service = catalog.services.get(&instance.service).into_iter().flatten();
    of_service.any(|one| one.instance == *instance && one.state == EndpointState::Ready)
}
