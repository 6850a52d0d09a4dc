//! Everything a request needs to find its way, as one immutable value.
//!
//! Built anew for each change of the platform or of the catalog and swapped whole; a request keeps
//! the one it began with. The only things that outlive a table are the
//! [`Upstream`](super::upstream::Upstream)s in it.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use http::Method;

use super::metrics::{Metrics, RouteName, RouteReading, RouteStats};
use super::routes::{Forwarded, PathTree, Reach, Resolution, Rule, Witness};
use super::service::Service;
use super::service_state::ServiceState;
use super::site::{Domain, Site, SiteService};
use super::upstream::Upstreams;
use crate::model::catalog::{Catalog, Endpoint, EndpointState};
use crate::model::name::ServiceName;
use crate::model::route::{Access, Methods, Route, RoutePrefix};
use crate::model::traffic::RoutePolicy;

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
    /// What the names of all checkouts end in.
    shared: String,
    internal: String,
}

impl Suffixes {
    fn of(domain: &Domain) -> Self {
        let below = |domain: &str| format!(".{domain}");
        Self {
            public: below(&domain.public),
            shared: below(&domain.shared),
            internal: below(&domain.internal),
        }
    }

    /// Whether it is a name of another checkout of the platform.
    fn is_anothers(&self, host: &str) -> bool {
        host.ends_with(&self.shared) && host != &self.public[1..]
    }
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
    /// Pure, but for looking up or creating the [`Upstream`](super::upstream::Upstream) of each ready
    /// endpoint.
    pub fn build(site: &Site, catalog: &Catalog, upstreams: &Upstreams) -> Self {
        let metrics = upstreams.metrics();
        let mut table = Self {
            suffixes: site.domain.as_ref().map(Suffixes::of),
            by_path: PathTree::default(),
            by_host: HashMap::new(),
            services: HashMap::new(),
            sources: sources(catalog),
            rows: Vec::new(),
            metrics: Arc::clone(metrics),
        };
        upstreams.begin_table();
        for described in &site.services {
            let endpoints = catalog.services.get(&described.name).map_or(&[][..], Vec::as_slice);
            table.insert(described, endpoints, site.domain.as_ref(), upstreams);
        }
        metrics.generation.add(1);
        upstreams.tidy();
        table
    }

    fn insert(
        &mut self,
        described: &SiteService,
        endpoints: &[Endpoint],
        domain: Option<&Domain>,
        upstreams: &Upstreams,
    ) {
        let (state, metrics) = (upstreams.service(&described.name), upstreams.metrics());
        let rules: Vec<_> =
            described.routes.iter().map(|route| rule(described, route, &state, metrics)).collect();
        let health = described.health.iter().map(|prefix| health_rule(&described.name, prefix, metrics));
        for rule in rules.iter().cloned().chain(health) {
            self.rows.push(row(&rule, endpoints, None));
            for host in &rule.hosts {
                self.by_host.entry(host.as_str().into()).or_default().insert(Arc::clone(&rule));
            }
            if rule.hosts.is_empty() {
                self.by_path.insert(rule);
            }
        }
        if let Some(domain) = domain {
            let host = format!("{}.{}", described.name, domain.public);
            self.rows.extend(rules.iter().map(|rule| row(rule, endpoints, Some(host.clone()))));
        }
        let service = Service::new(described, &rules, endpoints, upstreams);
        self.services.insert(described.name.as_str().into(), Arc::new(service));
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
        counts.map(|one| (one.name.to_string(), one.ready().len(), one.endpoints)).collect()
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
        let Some(suffixes) = &self.suffixes else { return Host::Platform };
        match host.strip_suffix(suffixes.public.as_str()) {
            Some(label) => self.services.get(label).map_or(Host::Unknown, Host::Service),
            None if suffixes.is_anothers(host) => Host::Unknown,
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

fn health_rule(service: &ServiceName, prefix: &RoutePrefix, metrics: &Metrics) -> Arc<Rule> {
    Arc::new(Rule {
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
    })
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
