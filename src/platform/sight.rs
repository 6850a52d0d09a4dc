//! What can be seen of the gateway: its routes, what it has counted, and which way a request takes.
//! For a platform that runs, and as far as a manifest alone can say for one that does not.

use std::time::Duration;

use crate::admin::{Refusal, RouteRow, RouteTraffic, ServiceTraffic, Traffic, TrafficReport};
use crate::gateway::metrics::RouteReading;
use crate::gateway::{self, Gateway, RouteTable, Site, Upstreams};
use crate::model::catalog::Catalog;
use crate::model::explanation::{Explanation, Question};
use crate::model::platform::Platform;
use crate::model::route::{Methods, RoutePrefix};

/// Where the platform itself answers at the public door.
#[must_use]
pub fn own_prefixes() -> Vec<RoutePrefix> {
    ["/auth", "/.well-known"].map(|prefix| prefix.parse().expect("a valid prefix")).into()
}

/// The routes that the manifest gives a platform that is not up.
#[must_use]
pub fn declared_routes(platform: &Platform) -> Vec<RouteRow> {
    rows(&declared(platform), false)
}

/// # Errors
/// When the question is none.
pub fn explain_declared(platform: &Platform, question: &Question) -> Result<Explanation, Refusal> {
    explain(&declared(platform), question)
}

/// # Errors
/// When the question is none.
pub fn explain(table: &RouteTable, question: &Question) -> Result<Explanation, Refusal> {
    gateway::explain(table, &own_prefixes(), question)
        .map_err(|message| Refusal { message: format!("this is no request: {message}"), hint: None })
}

fn declared(platform: &Platform) -> RouteTable {
    RouteTable::build(&Site::of(platform), &Catalog::default(), &Upstreams::default())
}

#[must_use]
pub fn rows(table: &RouteTable, is_up: bool) -> Vec<RouteRow> {
    let by_path = table.rows().iter().filter(|row| row.host.is_none());
    by_path
        .map(|row| RouteRow {
            path: row.prefix.to_string(),
            methods: match &row.methods {
                Methods::All => Vec::new(),
                Methods::Only(methods) => methods.iter().cloned().collect(),
            },
            access: row.access.to_string(),
            service: row.service.to_string(),
            ready: is_up.then_some(row.ready),
            endpoints: is_up.then_some(row.endpoints),
            traffic: is_up.then(|| counted(&row.reading())),
        })
        .collect()
}

/// All that was counted since the platform is up.
#[must_use]
pub fn traffic(gateway: &Gateway, up: Duration) -> TrafficReport {
    let (routes, busy) = (gateway.metrics().routes(), gateway.metrics().services());
    let services = gateway.table().instance_counts().into_iter().map(|(service, ready, endpoints)| {
        let own = routes.iter().filter(|route| route.service == service);
        let in_flight = busy.iter().find(|busy| busy.service == service).map_or(0, |busy| busy.in_flight);
        ServiceTraffic { in_flight, ready, endpoints, routes: own.map(of_route).collect(), service }
    });
    let unrouted = routes.iter().filter(|route| route.service.is_empty());
    TrafficReport {
        at_ms: u64::try_from(up.as_millis()).unwrap_or(u64::MAX),
        services: services.collect(),
        unrouted: unrouted.map(counted).fold(Traffic::default(), |all, one| all.and(&one)),
    }
}

fn of_route(reading: &RouteReading) -> RouteTraffic {
    RouteTraffic {
        route: reading.route.clone(),
        methods: reading.methods.clone(),
        hosts: reading.hosts.clone(),
        traffic: counted(reading),
    }
}

fn counted(reading: &RouteReading) -> Traffic {
    Traffic {
        requests: reading.requests,
        errors: reading.errors,
        bytes_in: reading.bytes_in,
        bytes_out: reading.bytes_out,
        durations: reading.durations,
    }
}
