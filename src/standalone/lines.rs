//! The configuration that fits on a command line: `--route /svc=http://a:9000,http://b:9000`.
//!
//! Such a route is public, for every method, and the endpoints do not see its prefix.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::str::FromStr;

use crate::model::instance::Generation;
use crate::model::name::ServiceName;
use crate::model::platform::{AccessLogTarget, GatewaySettings, PortSharing};
use crate::model::route::{Access, Methods, Route, RoutePrefix};
use crate::model::standalone::{
    Configuration, EndpointUrl, Probing, ShutdownSettings, StaticEndpoint, StaticService,
};
use crate::model::traffic::{RoutePolicy, TrafficPolicy};

/// One `--route`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteLine {
    pub prefix: RoutePrefix,
    /// Never empty, all of one protocol.
    pub endpoints: Vec<EndpointUrl>,
}

#[derive(Debug, Clone, Default)]
pub struct Lines {
    pub listen: Vec<SocketAddr>,
    pub admin: Option<SocketAddr>,
    pub access_log: AccessLogTarget,
    pub sharing: PortSharing,
    pub routes: Vec<RouteLine>,
}

impl FromStr for RouteLine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (prefix, endpoints) =
            text.split_once('=').ok_or("write PATH=URL, for example /orders=http://127.0.0.1:9000")?;
        let prefix = prefix.parse::<RoutePrefix>().map_err(|error| error.to_string())?;
        let parsed = endpoints.split(',').map(|url| url.trim().parse::<EndpointUrl>());
        let endpoints: Vec<_> = parsed.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        if endpoints.iter().any(|endpoint| endpoint.protocol != endpoints[0].protocol) {
            return Err("the endpoints of one route must all be http:// or all be h2c://".to_owned());
        }
        Ok(Self { prefix, endpoints })
    }
}

impl Lines {
    /// # Errors
    /// What contradicts itself.
    pub fn configuration(&self, probing: &Probing) -> Result<Configuration, String> {
        let mut seen = BTreeSet::new();
        if let Some(twice) = self.routes.iter().find(|line| !seen.insert(&line.prefix)) {
            return Err(format!("--route {} is there twice", twice.prefix));
        }
        let mut listening = BTreeSet::new();
        if let Some(twice) = self.listen.iter().find(|address| !listening.insert(**address)) {
            return Err(format!("--listen {twice} is there twice"));
        }
        let mut names = BTreeSet::new();
        let services = self.routes.iter().map(|line| {
            let name = free_name(&line.prefix, &names);
            names.insert(name.clone());
            service(line, name, probing)
        });
        Ok(Configuration {
            services: services.collect(),
            listeners: self.listen.iter().map(|&address| self.listener(address)).collect(),
            admin: self.admin,
            auth: None,
            shutdown: ShutdownSettings::default(),
        })
    }
}

impl Lines {
    fn listener(&self, address: SocketAddr) -> GatewaySettings {
        GatewaySettings {
            access_log: self.access_log.clone(),
            sharing: self.sharing,
            ..GatewaySettings::at(address)
        }
    }
}

fn service(line: &RouteLine, name: ServiceName, probing: &Probing) -> StaticService {
    let endpoint = |url: &EndpointUrl| StaticEndpoint { url: url.clone(), generation: Generation::FIRST };
    let route = Route {
        prefix: line.prefix.clone(),
        methods: Methods::All,
        access: Access::Public,
        strip_prefix: true,
        hosts: BTreeSet::new(),
        policy: RoutePolicy::default(),
    };
    StaticService {
        name,
        place: "the command line".to_owned(),
        traffic: TrafficPolicy { protocol: line.endpoints[0].protocol, ..TrafficPolicy::default() },
        endpoints: line.endpoints.iter().map(endpoint).collect(),
        routes: vec![route],
        probing: probing.clone(),
    }
}

/// After the path: `/api/v1` is `api-v1`.
fn free_name(prefix: &RoutePrefix, taken: &BTreeSet<ServiceName>) -> ServiceName {
    let words: Vec<_> = prefix.segments().collect();
    let stem = words.join("-").to_ascii_lowercase();
    let candidates = std::iter::once(stem.clone()).chain((2..).map(|number| format!("{stem}-{number}")));
    let parsed = candidates.take(taken.len() + 2).filter_map(|text| text.parse().ok());
    let numbered = (1..).map(|number| format!("route-{number}")).filter_map(|text| text.parse().ok());
    let mut free = parsed.chain(numbered).filter(|name| !taken.contains(name));
    free.next().expect("there are more numbers than names that are taken")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], expected: &str) {
        let routes = lines.iter().map(|line| line.parse()).collect::<Result<_, _>>();
        let found = routes
            .and_then(|routes| Lines { routes, ..Lines::default() }.configuration(&Probing::Off))
            .map(|configuration| {
                let shown = configuration.services.iter().map(|service| {
                    let urls: Vec<_> = service.endpoints.iter().map(|e| e.url.to_string()).collect();
                    format!("{} {} {}", service.name, service.routes[0].prefix, urls.join(","))
                });
                shown.collect::<Vec<_>>().join("; ")
            });
        assert_eq!(found.unwrap_or_else(|error| error), expected);
    }

    #[test]
    fn a_line_is_a_path_and_its_endpoints() {
        check(&["/svc=http://a:1,http://b:2"], "svc /svc http://a:1,http://b:2");
        check(
            &["/=h2c://a:1", "/api/V1=http://b:1", "/auth=http://c:1", "/api-v1=http://d:1"],
            "route-1 / h2c://a:1; api-v1 /api/V1 http://b:1; auth-2 /auth http://c:1; api-v1-2 /api-v1 http://d:1",
        );
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said() {
        check(&["/svc"], "write PATH=URL, for example /orders=http://127.0.0.1:9000");
        check(&["svc=http://a:1"], "\"svc\" is not a route path: it must start with \"/\"");
        check(&["/s=http://a:1,"], "\"\" is not an endpoint: it must start with http:// or h2c://");
        check(
            &["/s=http://a:1,h2c://b:1"],
            "the endpoints of one route must all be http:// or all be h2c://",
        );
        check(&["/s=http://a:1", "/s=http://b:1"], "--route /s is there twice");
    }
}
