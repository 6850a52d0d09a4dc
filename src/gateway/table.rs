//! Everything a request needs to find its way, as one immutable value.
//!
//! Built anew for each change of the platform or of the catalog and swapped whole; a request keeps
//! the one it began with. The only things that outlive a table are the [`Upstream`]s in it.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::Method;

use super::metrics::{Metrics, RouteName, RouteReading, RouteStats, ServiceStats};
use super::policy::balance::{self, Choice, Tried};
use super::policy::budget::Full;
use super::policy::canary::{self, Subset};
use super::routes::{Forwarded, PathTree, Reach, Resolution, Rule, Witness};
use super::service_state::{Permit, ServiceState};
use super::site::{Domain, Site, SiteService};
use super::throttle::Asker;
use super::upstream::{Upstream, Upstreams};
use crate::model::catalog::{Catalog, Endpoint, EndpointState};
use crate::model::name::ServiceName;
use crate::model::route::{Access, Methods, Route, RoutePrefix};
use crate::model::traffic::{Balance, RoutePolicy, TrafficPolicy};

#[derive(Debug)]
pub struct RouteTable {
    suffixes: Option<Suffixes>,
    by_path: PathTree,
    by_host: HashMap<Box<str>, PathTree>,
    services: HashMap<Box<str>, Arc<Service>>,
    /// Who calls from where. An address that several services share says nothing.
    sources: HashMap<IpAddr, Option<ServiceName>>,
    rows: Vec<RouteRow>,
    metrics: Arc<Metrics>,
}

/// `.store.localhost` and `.store.internal`.
#[derive(Debug)]
struct Suffixes {
    public: String,
    internal: String,
}

impl Suffixes {
    fn of(domain: &Domain) -> Self {
        Self { public: format!(".{}", domain.public), internal: format!(".{}", domain.internal) }
    }
}

/// One service as the gateway sees it.
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

/// One line of `msctl routes`.
#[derive(Debug, Clone)]
pub struct RouteRow {
    pub host: Option<String>,
    pub prefix: RoutePrefix,
    pub methods: Methods,
    pub access: Access,
    pub service: ServiceName,
    pub ready: usize,
    pub endpoints: usize,
    pub(super) stats: Arc<RouteStats>,
}

impl RouteRow {
    /// What was counted of it.
    pub fn reading(&self) -> RouteReading {
        self.stats.reading()
    }
}

/// What a host name stands for.
pub(super) enum Host<'t> {
    Service(&'t Arc<Service>),
    /// A name under this platform's domain that nobody has.
    Unknown,
    /// The platform itself (inside), or any other name (outside).
    Platform,
}

impl RouteTable {
    /// Pure, but for looking up or creating the [`Upstream`] of each ready endpoint.
    pub fn build(site: &Site, catalog: &Catalog, upstreams: &Upstreams) -> Self {
        let mut by_path = PathTree::default();
        let mut by_host: HashMap<Box<str>, PathTree> = HashMap::new();
        let mut services = HashMap::new();
        let mut rows = Vec::new();
        for described in &site.services {
            let endpoints = catalog.services.get(&described.name).map_or(&[][..], Vec::as_slice);
            let state = upstreams.service(&described.name);
            let metrics = upstreams.metrics();
            let rules: Vec<_> =
                described.routes.iter().map(|route| rule(described, route, &state, metrics)).collect();
            for rule in &rules {
                rows.push(row(rule, endpoints, None));
                if rule.hosts.is_empty() {
                    by_path.insert(Arc::clone(rule));
                }
                for host in &rule.hosts {
                    by_host.entry(host.as_str().into()).or_default().insert(Arc::clone(rule));
                }
            }
            for rule in described
                .health
                .iter()
                .map(|prefix| health_rule(&described.name, prefix, upstreams.metrics()))
            {
                rows.push(row(&rule, endpoints, None));
                by_path.insert(Arc::new(rule));
            }
            if let Some(domain) = &site.domain {
                let host = format!("{}.{}", described.name, domain.public);
                rows.extend(rules.iter().map(|rule| row(rule, endpoints, Some(host.clone()))));
            }
            let service = Service::new(described, &rules, endpoints, upstreams);
            services.insert(described.name.as_str().into(), Arc::new(service));
        }
        upstreams.metrics().generation.add(1);
        upstreams.tidy();
        Self {
            suffixes: site.domain.as_ref().map(Suffixes::of),
            by_path,
            by_host,
            services,
            sources: sources(catalog),
            rows,
            metrics: Arc::clone(upstreams.metrics()),
        }
    }

    /// Every route there is: those by path first, service by service.
    pub fn rows(&self) -> &[RouteRow] {
        &self.rows
    }

    /// Where everything that goes by this table and its successors is counted.
    pub(super) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Each service by its name with its instances: those that take requests, and all.
    pub fn instance_counts(&self) -> Vec<(String, usize, usize)> {
        let counts = self.services().into_iter();
        counts.map(|one| (one.name.to_string(), one.ready.len(), one.endpoints)).collect()
    }

    /// By name.
    pub(super) fn services(&self) -> Vec<&Arc<Service>> {
        let mut services: Vec<_> = self.services.values().collect();
        services.sort_by(|a, b| a.name.cmp(&b.name));
        services
    }

    /// The rules for a host that no service has for its own. Those that name it come first.
    pub(super) fn resolve(
        &self,
        asked_host: &str,
        path: &str,
        method: &Method,
        witness: &mut impl Witness,
    ) -> Resolution<'_> {
        match self.by_host.get(asked_host).map(|tree| tree.resolve_before(path, method, witness)) {
            None | Some(Resolution::NotFound) => self.by_path.resolve_before(path, method, witness),
            Some(found) => found,
        }
    }

    /// Whether some rule names this host.
    pub(super) fn names(&self, host: &str) -> bool {
        self.by_host.contains_key(host)
    }

    pub(super) fn service(&self, name: &ServiceName) -> Option<&Arc<Service>> {
        self.services.get(name.as_str())
    }

    /// `host` is lower case and has no port.
    pub(super) fn public_site(&self, host: &str) -> Host<'_> {
        match self.suffixes.as_ref().and_then(|suffixes| host.strip_suffix(suffixes.public.as_str())) {
            Some(label) => self.services.get(label).map_or(Host::Unknown, Host::Service),
            None => Host::Platform,
        }
    }

    /// `host` is lower case and has no port.
    pub(super) fn internal_site(&self, host: &str) -> Host<'_> {
        match self.suffixes.as_ref().and_then(|suffixes| host.strip_suffix(suffixes.internal.as_str())) {
            Some("msctl") => Host::Platform,
            Some(label) => self.services.get(label).map_or(Host::Unknown, Host::Service),
            None => Host::Unknown,
        }
    }

    pub(super) fn caller_at(&self, address: IpAddr) -> Option<&ServiceName> {
        self.sources.get(&address.to_canonical())?.as_ref()
    }
}

impl Service {
    fn new(
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
        Self {
            name: described.name.clone(),
            routes,
            manifest: described.manifest.clone(),
            calls: described.calls.clone(),
            traffic: described.traffic.clone(),
            ready: ready.iter().map(|endpoint| upstreams.at(&endpoint.instance, endpoint.address)).collect(),
            newest,
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

    /// A place among the open requests of this service.
    pub(super) fn admit(&self) -> Result<Permit, Full> {
        self.state.admit(self.traffic.max_in_flight)
    }

    pub(super) fn waiting(&self) -> &str {
        &self.waiting
    }
}

/// In the place of a route's prefix, for what other services ask of a service.
const CALLS: &str = "calls";

fn stats(metrics: &Metrics, service: &ServiceName, route: &Route) -> Arc<RouteStats> {
    let methods = match &route.methods {
        Methods::All => String::new(),
        Methods::Only(methods) => list(methods),
    };
    metrics.route(RouteName {
        service: service.as_str().into(),
        route: route.prefix.as_str().into(),
        methods: methods.into(),
        hosts: list(&route.hosts).into(),
    })
}

fn list(words: &BTreeSet<String>) -> String {
    words.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}

fn rule(described: &SiteService, route: &Route, state: &ServiceState, metrics: &Metrics) -> Arc<Rule> {
    let forwarded =
        if route.strip_prefix { Forwarded::without(route.prefix.as_str()) } else { Forwarded::Whole };
    let counts = stats(metrics, &described.name, route);
    Arc::new(Rule {
        service: described.name.clone(),
        prefix: route.prefix.clone(),
        reach: Reach::Below,
        methods: route.methods.clone(),
        access: route.access.clone(),
        forwarded,
        hosts: route.hosts.clone(),
        limiter: route.policy.rate_limit.is_some().then(|| state.limiter(counts.name())),
        policy: route.policy.clone(),
        stats: counts,
    })
}

fn health_rule(service: &ServiceName, prefix: &RoutePrefix, metrics: &Metrics) -> Rule {
    Rule {
        service: service.clone(),
        prefix: prefix.clone(),
        reach: Reach::Exact,
        methods: Methods::Only(BTreeSet::from(["GET".to_owned()])),
        access: Access::Public,
        forwarded: Forwarded::without(&format!("/{service}")),
        hosts: BTreeSet::new(),
        limiter: None,
        policy: RoutePolicy::default(),
        stats: metrics.route(RouteName {
            service: service.as_str().into(),
            route: prefix.as_str().into(),
            methods: "GET".into(),
            hosts: "".into(),
        }),
    }
}

fn row(rule: &Rule, endpoints: &[Endpoint], host: Option<String>) -> RouteRow {
    RouteRow {
        host,
        prefix: rule.prefix.clone(),
        methods: rule.methods.clone(),
        access: rule.access.clone(),
        service: rule.service.clone(),
        ready: endpoints.iter().filter(|endpoint| endpoint.state == EndpointState::Ready).count(),
        endpoints: endpoints.len(),
        stats: Arc::clone(&rule.stats),
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

fn sources(catalog: &Catalog) -> HashMap<IpAddr, Option<ServiceName>> {
    let mut sources: HashMap<IpAddr, Option<ServiceName>> = HashMap::new();
    for endpoint in catalog.endpoints() {
        let address = endpoint.address.ip().to_canonical();
        let service = &endpoint.instance.service;
        let shared = |known: &mut Option<ServiceName>| {
            if known.as_ref() != Some(service) {
                *known = None;
            }
        };
        // Everything on this machine shares the loopback addresses.
        let owner = (!address.is_loopback()).then(|| service.clone());
        sources.entry(address).and_modify(shared).or_insert(owner);
    }
    sources
}
