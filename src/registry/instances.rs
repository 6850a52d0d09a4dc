//! The one mutable thing: who is there, in which state.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

use crate::model::catalog::{Catalog, Endpoint, EndpointState};
use crate::model::instance::InstanceName;

/// Publishes a new [`Catalog`] with every change. Cheap to share: all methods take `&self`.
pub struct Registry {
    catalog: watch::Sender<Arc<Catalog>>,
}

impl Default for Registry {
    fn default() -> Self {
        Self { catalog: watch::Sender::new(Arc::new(Catalog::default())) }
    }
}

impl Registry {
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.borrow())
    }

    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Catalog>> {
        self.catalog.subscribe()
    }

    /// Makes an instance known. One that is known under another address starts anew.
    pub fn introduce(&self, instance: &InstanceName, address: SocketAddr) {
        self.change(instance, |endpoint| match endpoint {
            Some(known) if known.address == address => Some(known),
            _ => Some(Endpoint { instance: instance.clone(), address, state: EndpointState::Starting }),
        });
    }

    /// Lets an instance take requests. One that was withdrawn takes them again.
    pub fn admit(&self, instance: &InstanceName) {
        self.change(instance, |endpoint| {
            endpoint.map(|known| Endpoint { state: EndpointState::Ready, ..known })
        });
    }

    pub fn withdraw(&self, instance: &InstanceName) {
        self.change(instance, |endpoint| {
            endpoint.map(|known| Endpoint { state: EndpointState::Draining, ..known })
        });
    }

    pub fn forget(&self, instance: &InstanceName) {
        self.change(instance, |_| None);
    }

    /// Replaces one endpoint by what `change` makes of it; publishes only a real difference.
    fn change(&self, instance: &InstanceName, change: impl FnOnce(Option<Endpoint>) -> Option<Endpoint>) {
        self.catalog.send_if_modified(|catalog| {
            let known = catalog.endpoints().find(|endpoint| endpoint.instance == *instance).cloned();
            let changed = change(known.clone());
            if changed == known {
                return false;
            }
            let next = Arc::make_mut(catalog);
            let endpoints = next.services.entry(instance.service.clone()).or_default();
            endpoints.retain(|endpoint| endpoint.instance != *instance);
            endpoints.extend(changed);
            endpoints.sort_by(|a, b| a.instance.cmp(&b.instance));
            if endpoints.is_empty() {
                next.services.remove(&instance.service);
            }
            next.version += 1;
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::instance::Generation;

    fn instance(replica: u16) -> InstanceName {
        InstanceName { service: "order".parse().unwrap(), generation: Generation::FIRST, replica }
    }

    fn check(registry: &Registry, expected: &[(u16, EndpointState)]) {
        let catalog = registry.catalog();
        let found: Vec<_> =
            catalog.endpoints().map(|endpoint| (endpoint.instance.replica, endpoint.state)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_instance_goes_from_starting_to_ready_to_draining_and_back_only_when_it_is_admitted_again() {
        let (registry, one) = (Registry::default(), instance(1));
        let address = "127.0.0.1:1".parse().unwrap();
        registry.introduce(&one, address);
        check(&registry, &[(1, EndpointState::Starting)]);
        registry.admit(&one);
        check(&registry, &[(1, EndpointState::Ready)]);
        registry.withdraw(&one);
        registry.introduce(&one, address);
        check(&registry, &[(1, EndpointState::Draining)]);
        registry.admit(&one);
        check(&registry, &[(1, EndpointState::Ready)]);
        registry.forget(&one);
        check(&registry, &[]);
    }

    #[test]
    fn an_instance_that_comes_back_at_another_address_starts_anew() {
        let (registry, one) = (Registry::default(), instance(1));
        registry.introduce(&one, "127.0.0.1:1".parse().unwrap());
        registry.admit(&one);
        registry.introduce(&one, "127.0.0.1:2".parse().unwrap());
        check(&registry, &[(1, EndpointState::Starting)]);
    }

    #[test]
    fn what_changes_nothing_is_not_published() {
        let registry = Registry::default();
        let mut catalogs = registry.subscribe();
        registry.forget(&instance(1));
        registry.admit(&instance(2));
        assert!(!catalogs.has_changed().unwrap());
        registry.introduce(&instance(1), "127.0.0.1:1".parse().unwrap());
        assert_eq!(catalogs.borrow_and_update().version, 1);
    }
}
