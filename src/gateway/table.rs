//! Everything a request needs to find its way, as one immutable value.
//!
//! Built anew for each change of the platform or of the catalog and swapped whole; a request keeps
//! the one it began with. The only things that outlive a table are the [`Upstream`]s in it.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::balance;
use super::routes::{Forwarded, PathTree, Reach, Rule};
use super::upstream::{Upstream, Upstreams};
use crate::model::catalog::{Catalog, Endpoint, EndpointState};
use crate::model::name::ServiceName;
use crate::model::platform::{Platform, ServiceSpec};
use crate::model::route::{Access, Methods, Route, RoutePrefix};

#[derive(Debug)]
pub struct RouteTable {
    /// `.store.localhost` and `.store.internal`.
    public_suffix: String,
    internal_suffix: String,
    by_path: PathTree,
    services: HashMap<Box<str>, Arc<Service>>,
    /// Who calls from where. An address that several services share says nothing.
    sources: HashMap<IpAddr, Option<ServiceName>>,
    rows: Vec<RouteRow>,
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
    ready: Vec<Arc<Upstream>>,
    /// What the instances that are not ready are doing, for people.
    waiting: String,
    turn: Arc<AtomicUsize>,
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
pub(super) enum Site<'t> {
    Service(&'t Arc<Service>),
    /// A name under this platform's domain that nobody has.
    Unknown,
    /// The platform itself (inside), or any other name (outside).
    Platform,
}

impl RouteTable {
    /// Pure, but for looking up or creating the [`Upstream`] of each ready endpoint.
    pub fn build(platform: &Platform, catalog: &Catalog, upstreams: &Upstreams) -> Self {
        let mut by_path = PathTree::default();
        let mut services = HashMap::new();
        let mut rows = Vec::new();
        for spec in platform.services.values() {
            let endpoints = catalog.services.get(&spec.name).map_or(&[][..], Vec::as_slice);
            let rules: Vec<_> = spec.routes.iter().map(|route| rule(spec, route)).collect();
            let health = health_rules(platform, spec);
            for rule in rules.iter().chain(&health) {
                by_path.insert(Arc::clone(rule));
                rows.push(row(rule, endpoints, None));
            }
            rows.extend(
                rules.iter().map(|rule| row(rule, endpoints, Some(platform.public_host(&spec.name)))),
            );
            let service = Service::new(platform, spec, &rules, endpoints, upstreams);
            services.insert(spec.name.as_str().into(), Arc::new(service));
        }
        Self {
            public_suffix: format!(".{}.localhost", platform.id.name),
            internal_suffix: format!(".{}.internal", platform.id.name),
            by_path,
            services,
            sources: sources(catalog),
            rows,
        }
    }

    /// Every route there is: those by path first, service by service.
    pub fn rows(&self) -> &[RouteRow] {
        &self.rows
    }

    pub(super) fn by_path(&self) -> &PathTree {
        &self.by_path
    }

    pub(super) fn service(&self, name: &ServiceName) -> Option<&Arc<Service>> {
        self.services.get(name.as_str())
    }

    /// `host` is lower case and has no port.
    pub(super) fn public_site(&self, host: &str) -> Site<'_> {
        match host.strip_suffix(self.public_suffix.as_str()) {
            Some(label) => self.services.get(label).map_or(Site::Unknown, Site::Service),
            None => Site::Platform,
        }
    }

    /// `host` is lower case and has no port.
    pub(super) fn internal_site(&self, host: &str) -> Site<'_> {
        match host.strip_suffix(self.internal_suffix.as_str()) {
            Some("msctl") => Site::Platform,
            Some(label) => self.services.get(label).map_or(Site::Unknown, Site::Service),
            None => Site::Unknown,
        }
    }

    pub(super) fn caller_at(&self, address: IpAddr) -> Option<&ServiceName> {
        self.sources.get(&address.to_canonical())?.as_ref()
    }
}

impl Service {
    fn new(
        platform: &Platform,
        spec: &ServiceSpec,
        rules: &[Arc<Rule>],
        endpoints: &[Endpoint],
        upstreams: &Upstreams,
    ) -> Self {
        let mut routes = PathTree::default();
        for rule in rules {
            routes.insert(Arc::clone(rule));
        }
        let ready = endpoints.iter().filter(|endpoint| endpoint.state == EndpointState::Ready);
        Self {
            name: spec.name.clone(),
            routes,
            manifest: manifest_of(&platform.root, &spec.folder),
            calls: spec.calls.clone(),
            ready: ready.map(|endpoint| upstreams.at(&endpoint.instance, endpoint.address)).collect(),
            waiting: describe_waiting(endpoints),
            turn: upstreams.turn(&spec.name),
        }
    }

    pub(super) fn may_call(&self, callee: &ServiceName) -> bool {
        self.calls.contains(callee)
    }

    pub(super) fn next_upstream(&self) -> Option<&Arc<Upstream>> {
        balance::pick(self.turn.fetch_add(1, Ordering::Relaxed), &self.ready)
    }

    pub(super) fn waiting(&self) -> &str {
        &self.waiting
    }
}

fn rule(spec: &ServiceSpec, route: &Route) -> Arc<Rule> {
    let forwarded = if route.strip_prefix {
        Forwarded::Without(route.prefix.segments().count())
    } else {
        Forwarded::Whole
    };
    Arc::new(Rule {
        service: spec.name.clone(),
        prefix: route.prefix.clone(),
        reach: Reach::Below,
        methods: route.methods.clone(),
        access: route.access.clone(),
        forwarded,
    })
}

/// `/<service>/health/live` and `/ready`, for anybody, unless somebody's route is about exactly
/// that part of the path.
fn health_rules(platform: &Platform, spec: &ServiceSpec) -> Vec<Arc<Rule>> {
    let folder = format!("/{}/health", spec.name);
    let claims = |route: &Route| {
        let rest = route.prefix.as_str().strip_prefix(&folder);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if platform.services.values().flat_map(|service| &service.routes).any(claims) {
        return Vec::new();
    }
    let prefixes = ["live", "ready"].into_iter().filter_map(|probe| format!("{folder}/{probe}").parse().ok());
    prefixes.map(|prefix| Arc::new(health_rule(spec, prefix))).collect()
}

fn health_rule(spec: &ServiceSpec, prefix: RoutePrefix) -> Rule {
    Rule {
        service: spec.name.clone(),
        prefix,
        reach: Reach::Exact,
        methods: Methods::Only(BTreeSet::from(["GET".to_owned()])),
        access: Access::Public,
        forwarded: Forwarded::Without(1),
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

fn manifest_of(root: &Path, folder: &Path) -> String {
    let relative = folder.strip_prefix(root).unwrap_or(folder);
    relative.join("service.toml").display().to_string()
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
