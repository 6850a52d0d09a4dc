//! Services that a plan has still to be made for.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::name::ServiceName;

#[derive(Debug, Default, Clone)]
pub(super) struct Pending {
    /// How many looks have begun.
    looks: u64,
    /// Of each of them, the look that takes it up.
    services: BTreeMap<ServiceName, u64>,
}

impl Pending {
    /// There is something new about these: a look that has begun already does not know of it.
    pub(super) fn add(&mut self, services: impl IntoIterator<Item = ServiceName>) {
        let next = self.looks + 1;
        self.services.extend(services.into_iter().map(|service| (service, next)));
    }

    pub(super) fn look_begins(&mut self) {
        self.looks += 1;
    }

    /// The look under way has led to a plan, which leaves some for later.
    pub(super) fn planned(&mut self, put_off: &BTreeSet<ServiceName>) {
        let latest = self.looks;
        self.services.retain(|service, look| *look > latest || put_off.contains(service));
    }

    /// No plan can be made.
    pub(super) fn clear(&mut self) {
        self.services.clear();
    }

    pub(super) fn has(&self, service: &ServiceName) -> bool {
        self.services.contains_key(service)
    }
}
