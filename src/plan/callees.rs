//! Who is not started because of whom.

use std::collections::{BTreeMap, BTreeSet};

use super::policy::Policy;
use crate::model::catalog::{Catalog, EndpointState};
use crate::model::desired::{Desired, DesiredService};
use crate::model::name::ServiceName;
use crate::model::observed::Observed;

/// The services that are not to be started as long as one that they call fails and nothing of it serves,
/// each with that one. What runs already goes on, and is replaced, whatever becomes of its callees.
/// `failed` are those that cannot even be planned.
#[must_use]
pub fn held_back(
    desired: &Desired,
    observed: &Observed,
    catalog: &Catalog,
    policy: &Policy,
    failed: &BTreeSet<ServiceName>,
) -> BTreeMap<ServiceName, ServiceName> {
    let mut culprits: BTreeMap<ServiceName, ServiceName> = BTreeMap::new();
    loop {
        let is_down = |callee: &ServiceName| {
            let fails = failed.contains(callee) || culprits.contains_key(callee);
            (fails || has_failed(callee, desired, policy)) && !is_served(callee, catalog)
        };
        let waits = |service: &&DesiredService| {
            let name = &service.spec.name;
            !culprits.contains_key(name) && !failed.contains(name) && !runs(name, observed)
        };
        let next = desired.services.values().filter(waits).find_map(|service| {
            let culprit = service.spec.calls.iter().find(|callee| is_down(callee))?;
            Some((service.spec.name.clone(), culprit.clone()))
        });
        match next {
            Some((service, culprit)) => drop(culprits.insert(service, culprit)),
            None => return culprits,
        }
    }
}

fn has_failed(service: &ServiceName, desired: &Desired, policy: &Policy) -> bool {
    let wanted = desired.services.get(service).map(|service| &service.hash);
    policy.waiting.get(service).is_some_and(|version| version.is_none() || version.as_ref() == wanted)
}

pub(super) fn is_served(service: &ServiceName, catalog: &Catalog) -> bool {
    let endpoints = catalog.services.get(service).into_iter().flatten();
    endpoints.into_iter().any(|endpoint| endpoint.state == EndpointState::Ready)
}

fn runs(service: &ServiceName, observed: &Observed) -> bool {
    observed.instances.iter().any(|seen| seen.name.service == *service && seen.state.is_running())
}
