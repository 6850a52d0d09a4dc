//! What a route table is made from: services, their routes, and how they are treated.
//!
//! A platform's manifest leads to a site, and so does the configuration of a gateway that runs
//! alone; nothing of the gateway knows either.

use std::collections::BTreeSet;
use std::path::Path;

use crate::model::name::ServiceName;
use crate::model::platform::{Platform, ServiceSpec};
use crate::model::route::{Route, RoutePrefix};
use crate::model::traffic::TrafficPolicy;

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Site {
    /// Under which host names each service can be reached; `None` for by path alone.
    pub domain: Option<Domain>,
    pub services: Vec<SiteService>,
}

/// Each service has a name below both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// `store.localhost`, at the public door; in a linked worktree `feature-x.store.localhost`.
    pub public: String,
    /// `store.localhost`: names below it that are not below `public` are those of other checkouts.
    pub shared: String,
    /// `store.internal`, at the internal one.
    pub internal: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SiteService {
    pub name: ServiceName,
    /// The file that says all this, for messages.
    pub manifest: String,
    pub routes: Vec<Route>,
    /// Prefixes under which its health pair is open to anybody.
    pub health: Vec<RoutePrefix>,
    /// The services that it may call.
    pub calls: BTreeSet<ServiceName>,
    pub traffic: TrafficPolicy,
}

impl Site {
    #[must_use]
    pub fn of(platform: &Platform) -> Self {
        let domain = Domain {
            public: platform.public_domain(),
            shared: platform.shared_domain(),
            internal: format!("{}.internal", platform.id.name),
        };
        let services = platform.services.values().map(|spec| service(platform, spec)).collect();
        Self { domain: Some(domain), services }
    }
}

fn service(platform: &Platform, spec: &ServiceSpec) -> SiteService {
    SiteService {
        name: spec.name.clone(),
        manifest: manifest_of(&platform.root, &spec.folder),
        routes: spec.routes.clone(),
        health: health_paths(platform, &spec.name),
        calls: spec.calls.clone(),
        traffic: spec.traffic.clone(),
    }
}

/// `/<service>/health/live` and `/ready`, unless somebody's route is about exactly that part of the
/// path.
fn health_paths(platform: &Platform, service: &ServiceName) -> Vec<RoutePrefix> {
    let folder = format!("/{service}/health");
    let claims = |route: &Route| {
        let rest = route.prefix.as_str().strip_prefix(&folder);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if platform.services.values().flat_map(|service| &service.routes).any(claims) {
        return Vec::new();
    }
    ["live", "ready"].into_iter().filter_map(|probe| format!("{folder}/{probe}").parse().ok()).collect()
}

fn manifest_of(root: &Path, folder: &Path) -> String {
    let relative = folder.strip_prefix(root).unwrap_or(folder);
    relative.join("service.toml").display().to_string()
}
