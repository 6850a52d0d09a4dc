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

use super::policy::balance::{self, Choice, Tried};
use super::policy::budget::Full;
use super::policy::canary::{self, Subset};
use super::routes::{Forwarded, PathTree, Reach, Resolution, Rule};
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
}

/// What a request has to say about where it goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Preference {
    method: balance::Method,
    /// `None` where the service tries no generation.
    subset: Option<Subset>,
}

/// One line of `msctl routes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteRow {
    pub host: Option<String>,
    pub prefix: RoutePrefix,
    pub methods: Methods,
    pub access: Access,
    pub service: ServiceName,
    pub ready: usize,
    pub endpoints: usize,
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
            let rules: Vec<_> = described.routes.iter().map(|route| rule(described, route, &state)).collect();
            for rule in &rules {
                rows.push(row(rule, endpoints, None));
                if rule.hosts.is_empty() {
                    by_path.insert(Arc::clone(rule));
                }
                for host in &rule.hosts {
                    by_host.entry(host.as_str().into()).or_default().insert(Arc::clone(rule));
                }
            }
            for rule in described.health.iter().map(|prefix| health_rule(&described.name, prefix)) {
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
        Self {
            suffixes: site.domain.as_ref().map(Suffixes::of),
            by_path,
            by_host,
            services,
            sources: sources(catalog),
            rows,
        }
    }

    /// Every route there is: those by path first, service by service.
    pub fn rows(&self) -> &[RouteRow] {
        &self.rows
    }

    /// The rules for a host that no service has for its own. Those that name it come first.
    pub(super) fn resolve(&self, asked_host: &str, path: &str, method: &Method) -> Resolution<'_> {
        match self.by_host.get(asked_host).map(|tree| tree.resolve(path, method)) {
            None | Some(Resolution::NotFound) => self.by_path.resolve(path, method),
            Some(found) => found,
        }
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
        }
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

    /// The instance for the next try of a request; `None` where none may be used.
    pub(super) fn pick(&self, preference: Preference, tried: &Tried) -> Option<&Arc<Upstream>> {
        let now = Instant::now();
        let candidates = match preference.subset {
            None => &self.ready[..],
            Some(subset) => {
                let (newest, older) = self.ready.split_at(self.newest);
                canary::among(subset, newest, older, now)
            }
        };
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

fn rule(described: &SiteService, route: &Route, state: &ServiceState) -> Arc<Rule> {
    let forwarded = if route.strip_prefix {
        Forwarded::Without(route.prefix.segments().count())
    } else {
        Forwarded::Whole
    };
    Arc::new(Rule {
        service: described.name.clone(),
        prefix: route.prefix.clone(),
        reach: Reach::Below,
        methods: route.methods.clone(),
        access: route.access.clone(),
        forwarded,
        hosts: route.hosts.clone(),
        limiter: route.policy.rate_limit.is_some().then(|| state.limiter(&route.prefix, &route.methods)),
        policy: route.policy.clone(),
    })
}

fn health_rule(service: &ServiceName, prefix: &RoutePrefix) -> Rule {
    Rule {
        service: service.clone(),
        prefix: prefix.clone(),
        reach: Reach::Exact,
        methods: Methods::Only(BTreeSet::from(["GET".to_owned()])),
        access: Access::Public,
        forwarded: Forwarded::Without(1),
        hosts: BTreeSet::new(),
        limiter: None,
        policy: RoutePolicy::default(),
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
