//! What is counted about requests, routes and services, and how it is read.
//!
//! Everything is counted with relaxed atomics in places that are found once, when a route table is
//! built: the way of a request takes no lock and looks nothing up. The places outlive tables, as long
//! as some table has the route; a reading takes locks, and is rare. Names in labels come from the
//! configuration alone, never from a request: its path, or a method nobody knows, names nothing.

mod count;
mod place;
mod render;
mod text;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use tokio::sync::watch;

pub use count::{Counter, Gauge};
pub(super) use place::{Answer, RetryOutcome, RetryReason, RouteStats, ServiceStats};
pub use render::{CONTENT_TYPE, render};

use super::access_log::Observer;
use super::connections::Connections;
use super::table::RouteTable;
use super::upstream::Upstream;
use crate::model::histogram::Durations;
use crate::model::principal::Source;

/// The service name under which requests to the platform's own handlers are counted. No service
/// can have it.
const OWN: &str = "msctl";

/// Everything that is counted by one gateway.
#[derive(Debug)]
pub struct Metrics {
    places: Mutex<Places>,
    /// Requests that lead nowhere.
    unrouted: Arc<RouteStats>,
    /// Requests to the platform's own handlers.
    embedded: Arc<RouteStats>,
    pub(super) tokens: TokenStats,
    /// Of the configuration that requests are routed by; grows with each change.
    pub(super) generation: Gauge,
    /// Configurations that were refused, so that the one before stayed.
    pub(super) refused_configurations: Counter,
    /// When the certificate of each listener ends.
    certificates: Mutex<BTreeMap<SocketAddr, SystemTime>>,
}

#[derive(Debug, Default)]
struct Places {
    routes: HashMap<RouteName, Weak<RouteStats>>,
    services: HashMap<Box<str>, Weak<ServiceStats>>,
    instances: Vec<Weak<Upstream>>,
}

/// By which a route is known across tables, and what its labels say.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(super) struct RouteName {
    pub(super) service: Box<str>,
    /// Its prefix, or what it is in a word without a slash.
    pub(super) route: Box<str>,
    /// Where it names some.
    pub(super) methods: Box<str>,
    pub(super) hosts: Box<str>,
}

/// What became of tokens.
#[derive(Debug, Default)]
pub(super) struct TokenStats {
    pub(super) accepted: Counter,
    pub(super) rejected: Counter,
    /// Of these, found among those that were verified before.
    pub(super) cache_hits: Counter,
    pub(super) cache_misses: Counter,
}

impl TokenStats {
    pub(super) fn count(&self, is_accepted: bool, source: Source) {
        let result = if is_accepted { &self.accepted } else { &self.rejected };
        result.increment();
        match source {
            Source::Memory => self.cache_hits.increment(),
            Source::Check => self.cache_misses.increment(),
        }
    }
}

/// What can be seen of a gateway from outside, without being able to serve by it.
#[derive(Debug, Clone)]
pub struct Sight {
    pub(super) routes: watch::Receiver<Arc<RouteTable>>,
    pub(super) observer: Arc<Observer>,
    pub(super) connections: Arc<Connections>,
}

/// A reading of one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteReading {
    pub service: String,
    pub route: String,
    pub methods: String,
    pub hosts: String,
    pub requests: u64,
    /// Of these, answered with 5xx.
    pub errors: u64,
    pub durations: Durations,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// A reading of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceReading {
    pub service: String,
    pub in_flight: usize,
    /// Connections that wait to be used again.
    pub idle_connections: usize,
}

impl Default for Metrics {
    fn default() -> Self {
        let service = |name: &str| Arc::new(ServiceStats::new(name));
        let whole = |name: &str| {
            let of = RouteName { service: name.into(), ..RouteName::default() };
            Arc::new(RouteStats::new(of, service(name)))
        };
        Self {
            places: Mutex::default(),
            unrouted: whole(""),
            embedded: whole(OWN),
            tokens: TokenStats::default(),
            generation: Gauge::default(),
            refused_configurations: Counter::default(),
            certificates: Mutex::default(),
        }
    }
}

impl Metrics {
    /// A configuration was not good enough to follow: the one before stays.
    pub fn configuration_refused(&self) {
        self.refused_configurations.increment();
    }

    /// The one place of this route.
    pub(super) fn route(&self, name: RouteName) -> Arc<RouteStats> {
        let service = self.service(&name.service);
        let mut places = lock(&self.places);
        if let Some(known) = places.routes.get(&name).and_then(Weak::upgrade) {
            return known;
        }
        let stats = Arc::new(RouteStats::new(name.clone(), service));
        places.routes.insert(name, Arc::downgrade(&stats));
        stats
    }

    /// The one place of this service.
    pub(super) fn service(&self, name: &str) -> Arc<ServiceStats> {
        let mut places = lock(&self.places);
        if let Some(known) = places.services.get(name).and_then(Weak::upgrade) {
            return known;
        }
        let stats = Arc::new(ServiceStats::new(name));
        places.services.insert(name.into(), Arc::downgrade(&stats));
        stats
    }

    /// Remembers an instance, to read how busy it is.
    pub(super) fn watch(&self, instance: &Arc<Upstream>) {
        lock(&self.places).instances.push(Arc::downgrade(instance));
    }

    /// Lets go of what no table and no request has any more.
    pub(super) fn tidy(&self) {
        let mut places = lock(&self.places);
        places.routes.retain(|_, stats| stats.strong_count() > 0);
        places.services.retain(|_, stats| stats.strong_count() > 0);
        places.instances.retain(|instance| instance.strong_count() > 0);
    }

    pub(super) fn unrouted(&self) -> &Arc<RouteStats> {
        &self.unrouted
    }

    pub(super) fn embedded(&self) -> &Arc<RouteStats> {
        &self.embedded
    }

    /// Until when the certificate is good that is presented by the listener at this address. `None`: by
    /// none any more.
    pub fn certificate(&self, listener: SocketAddr, ends: Option<SystemTime>) {
        let mut certificates = lock(&self.certificates);
        match ends {
            Some(ends) => certificates.insert(listener, ends),
            None => certificates.remove(&listener),
        };
    }

    /// Every route that was ever asked for or is there to be.
    pub fn routes(&self) -> Vec<RouteReading> {
        self.all_routes().iter().map(|stats| stats.reading()).collect()
    }

    /// How busy every service is.
    pub fn services(&self) -> Vec<ServiceReading> {
        let instances = self.instances();
        let of = |service: &ServiceStats| {
            let own = || instances.iter().filter(|one| one.instance().service.as_str() == service.name());
            ServiceReading {
                service: service.name().to_owned(),
                in_flight: own().map(|instance| instance.in_flight()).sum(),
                idle_connections: own().map(|instance| instance.idle_connections()).sum(),
            }
        };
        self.all_services().iter().map(|service| of(service)).collect()
    }

    /// In the order of their names, those of requests without a route first.
    fn all_routes(&self) -> Vec<Arc<RouteStats>> {
        let known: Vec<_> = lock(&self.places).routes.values().filter_map(Weak::upgrade).collect();
        let own = [&self.unrouted, &self.embedded].into_iter().map(Arc::clone);
        let mut all: Vec<_> = own.chain(known).collect();
        all.sort_by(|a, b| a.name().cmp(b.name()));
        all
    }

    fn all_services(&self) -> Vec<Arc<ServiceStats>> {
        let mut all: Vec<_> = lock(&self.places).services.values().filter_map(Weak::upgrade).collect();
        all.sort_by(|a, b| a.name().cmp(b.name()));
        all
    }

    fn instances(&self) -> Vec<Arc<Upstream>> {
        lock(&self.places).instances.iter().filter_map(Weak::upgrade).collect()
    }

    fn certificates(&self) -> BTreeMap<SocketAddr, SystemTime> {
        lock(&self.certificates).clone()
    }
}

/// What is behind these locks is whole after every line, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(route: &str) -> RouteName {
        RouteName { service: "order".into(), route: route.into(), ..RouteName::default() }
    }

    #[test]
    fn a_route_keeps_its_counts_for_as_long_as_some_table_has_it() {
        let metrics = Metrics::default();
        let before = metrics.route(name("/orders"));
        before.count(&Answer { status: 200, ..Answer::default() });
        let after = metrics.route(name("/orders"));
        drop(before);
        metrics.tidy();
        assert_eq!(metrics.route(name("/orders")).reading().requests, 1);
        drop(after);
        metrics.tidy();
        assert_eq!(metrics.route(name("/orders")).reading().requests, 0);
    }

    #[test]
    fn routes_of_one_prefix_and_other_methods_are_counted_apart() {
        let metrics = Metrics::default();
        let posts = metrics.route(RouteName { methods: "POST".into(), ..name("/orders") });
        let all = metrics.route(name("/orders"));
        posts.count(&Answer { status: 200, ..Answer::default() });
        assert_eq!((posts.reading().requests, all.reading().requests), (1, 0));
        assert!(Arc::ptr_eq(posts.service(), all.service()));
    }
}
