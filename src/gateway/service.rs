//! One service as the gateway sees it: which of its instances take requests, and who gets the next one.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::metrics::{RouteName, RouteStats, ServiceStats};
use super::policy::balance::{self, Choice, Tried};
use super::policy::budget::Full;
use super::policy::canary::{self, Subset};
use super::routes::{PathTree, Rule};
use super::service_state::{Permit, ServiceState};
use super::site::SiteService;
use super::throttle::Asker;
use super::upstream::{Upstream, Upstreams};
use crate::model::catalog::{Endpoint, EndpointState};
use crate::model::instance::{Generation, InstanceName};
use crate::model::name::ServiceName;
use crate::model::traffic::{Balance, TrafficPolicy};

/// In the place of a route's prefix, for what other services ask of a service.
const CALLS: &str = "calls";

#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: ServiceName,
    /// Its own routes, for its own host name.
    pub(super) routes: PathTree,
    /// Its `service.toml`, relative to the platform's root.
    pub(super) manifest: String,
    calls: BTreeSet<ServiceName>,
    pub(super) traffic: TrafficPolicy,
    /// Those of the newest generation first.
    ready: Vec<Arc<Upstream>>,
    newest: usize,
    /// The oldest generation that takes no requests any more and still runs.
    withdrawn: Option<Generation>,
    /// What the instances that are not ready are doing, for people.
    waiting: String,
    state: Arc<ServiceState>,
    /// Where the calls of other services are counted.
    pub(super) calls_stats: Arc<RouteStats>,
    /// How many instances there are, in any state.
    pub(super) endpoints: usize,
}

/// What a request has to say about where it goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Preference {
    method: balance::Method,
    /// `None` where the service tries no generation.
    subset: Option<Subset>,
}

impl Service {
    pub(super) fn new(
        described: &SiteService,
        rules: &[Arc<Rule>],
        endpoints: &[Endpoint],
        upstreams: &Upstreams,
    ) -> Self {
        let mut routes = PathTree::default();
        for rule in rules {
            routes.insert(Arc::clone(rule));
        }
        let mut ready: Vec<&Endpoint> =
            endpoints.iter().filter(|endpoint| endpoint.state == EndpointState::Ready).collect();
        ready.sort_by_key(|endpoint| Reverse(endpoint.instance.generation));
        let newest = ready.first().map(|endpoint| endpoint.instance.generation);
        let newest = ready.iter().take_while(|endpoint| Some(endpoint.instance.generation) == newest).count();
        let withdrawn = endpoints.iter().filter(|endpoint| endpoint.state == EndpointState::Draining);
        Self {
            name: described.name.clone(),
            routes,
            manifest: described.manifest.clone(),
            calls: described.calls.clone(),
            traffic: described.traffic.clone(),
            ready: ready.iter().map(|endpoint| upstreams.at(&endpoint.instance, endpoint.address)).collect(),
            newest,
            withdrawn: withdrawn.map(|endpoint| endpoint.instance.generation).min(),
            waiting: describe_waiting(endpoints),
            state: upstreams.service(&described.name),
            calls_stats: upstreams.metrics().route(RouteName {
                service: described.name.as_str().into(),
                route: CALLS.into(),
                ..RouteName::default()
            }),
            endpoints: endpoints.len(),
        }
    }

    /// Where what concerns the service as a whole is counted.
    pub(super) fn stats(&self) -> &ServiceStats {
        self.calls_stats.service()
    }

    pub(super) fn may_call(&self, callee: &ServiceName) -> bool {
        self.calls.contains(callee)
    }

    pub(super) fn ready(&self) -> &[Arc<Upstream>] {
        &self.ready
    }

    pub(super) fn state(&self) -> &Arc<ServiceState> {
        &self.state
    }

    /// How a request chooses, for all of its tries.
    pub(super) fn preference(&self, asker: Asker<'_>) -> Preference {
        let method = match &self.traffic.balance {
            Balance::LeastRequest => balance::Method::LeastRequest,
            Balance::RoundRobin => balance::Method::RoundRobin { turn: self.state.next_turn() },
            Balance::Consistent(key) => balance::Method::Consistent { key: asker.hash(key) },
        };
        let chance = || fastrand::u64(..);
        let subset =
            self.traffic.canary.as_ref().map(|canary| canary::choose(canary, asker.headers, chance()));
        Preference { method, subset }
    }

    /// The instances of a subset, or what stands in for it.
    pub(super) fn among(&self, subset: Option<Subset>, now: Instant) -> &[Arc<Upstream>] {
        match subset {
            None => &self.ready,
            Some(subset) => {
                let (newest, older) = self.ready.split_at(self.newest);
                canary::among(subset, newest, older, now)
            }
        }
    }

    /// The instance for the next try of a request; `None` where none may be used.
    pub(super) fn pick(&self, preference: Preference, tried: &Tried) -> Option<&Arc<Upstream>> {
        let now = Instant::now();
        let candidates = self.among(preference.subset, now);
        let (slow_start, panic_below) = (self.traffic.slow_start, self.traffic.outlier.panic_below);
        let choice = Choice { method: preference.method, slow_start, panic_below, tried, now };
        balance::pick(candidates, &choice, &mut || fastrand::u64(..))
    }

    /// The same, but nobody whom it was at.
    pub(super) fn pick_other(&self, preference: Preference, tried: &Tried) -> Option<&Arc<Upstream>> {
        self.pick(preference, tried).filter(|picked| !tried.contains(*picked))
    }

    /// Whether somebody could be called back in the place of this instance.
    pub(super) fn may_go_back_from(&self, instance: &InstanceName) -> bool {
        self.withdrawn.is_some_and(|oldest| oldest < instance.generation)
    }

    /// A place among the open requests of this service.
    pub(super) fn admit(&self) -> Result<Permit, Full> {
        self.state.admit(self.traffic.max_in_flight)
    }

    pub(super) fn waiting(&self) -> &str {
        &self.waiting
    }
}

fn describe_waiting(endpoints: &[Endpoint]) -> String {
    if endpoints.is_empty() {
        return "it is not running".to_owned();
    }
    let states = endpoints.iter().map(|endpoint| {
        let state = match endpoint.state {
            EndpointState::Starting => "starting",
            EndpointState::Ready => "ready",
            EndpointState::Draining => "stopping",
        };
        format!("{} is {state}", endpoint.instance)
    });
    states.collect::<Vec<_>>().join(", ")
}
