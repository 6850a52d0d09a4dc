//! Everything that is counted, as Prometheus reads it.

use std::sync::Arc;
use std::time::{Instant, UNIX_EPOCH};

use super::count::Counter;
use super::place::{RouteStats, ServiceStats};
use super::text::{Kind, Label, Text};
use super::{Metrics, Sight};
use crate::gateway::access_log::{AccessLog, Observer};
use crate::gateway::connections::ConnectionCounts;
use crate::gateway::policy::breaker::State;
use crate::gateway::table::RouteTable;

/// What [`render`] is, for `Content-Type`.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All that this gateway has counted so far.
pub fn render(sight: &Sight) -> String {
    let mut text = Text::default();
    let Observer { metrics, log } = &*sight.observer;
    let table = Arc::clone(&sight.routes.borrow());
    about_routes(&mut text, metrics);
    about_services(&mut text, metrics);
    about_instances(&mut text, metrics, &table);
    about_connections(&mut text, &sight.connections.counts());
    about_the_gateway(&mut text, metrics);
    if let Some(log) = log {
        about_the_log(&mut text, log);
    }
    text.finish()
}

fn labels(route: &RouteStats) -> [Label<'_>; 4] {
    let name = route.name();
    [("service", &name.service), ("route", &name.route), ("methods", &name.methods), ("host", &name.hosts)]
}

fn about_routes(text: &mut Text, metrics: &Metrics) {
    let routes = metrics.all_routes();
    let name = "msctl_requests_total";
    text.family(
        name,
        Kind::Counter,
        "Requests, by what they were answered with and why (response_flag). Those without a service lead to none.",
    );
    for route in &routes {
        for alike in route.answers() {
            let code = alike.status.to_string();
            let own = [("method", alike.method), ("code", &code), ("response_flag", alike.flag)];
            let labels: Vec<Label<'_>> = labels(route).into_iter().chain(own).collect();
            text.sample(name, &labels, alike.count);
        }
    }
    let name = "msctl_request_duration_seconds";
    text.family(name, Kind::Histogram, "From the head of a request to the last byte of its answer.");
    for route in &routes {
        text.histogram(name, &labels(route), &route.durations());
    }
    let name = "msctl_request_bytes_total";
    text.family(name, Kind::Counter, "Bytes of request bodies that were passed on.");
    for route in &routes {
        text.sample(name, &labels(route), route.bytes().0);
    }
    let name = "msctl_response_bytes_total";
    text.family(name, Kind::Counter, "Bytes of response bodies.");
    for route in &routes {
        text.sample(name, &labels(route), route.bytes().1);
    }
}

fn about_services(text: &mut Text, metrics: &Metrics) {
    let services = metrics.all_services();
    let name = "msctl_upstream_duration_seconds";
    text.family(name, Kind::Histogram, "From the first try at an instance to the head of its answer.");
    for service in &services {
        text.histogram(name, &[("service", service.name())], &service.upstream());
    }
    let name = "msctl_retries_total";
    text.family(name, Kind::Counter, "Requests sent once more, by why and by what they came to.");
    for service in &services {
        for (reason, outcome, count) in service.retries() {
            let labels = [("service", service.name()), ("reason", reason), ("outcome", outcome)];
            text.sample(name, &labels, count);
        }
    }
    for (name, help, read) in COUNTED {
        text.family(name, Kind::Counter, help);
        for service in &services {
            text.sample(name, &[("service", service.name())], read(service).get());
        }
    }
}

type Counted = (&'static str, &'static str, fn(&ServiceStats) -> &Counter);

/// What is one number for each service.
const COUNTED: [Counted; 6] = [
    ("msctl_upstream_connects_total", "Connections opened to instances.", |service| &service.connects),
    (
        "msctl_upstream_connect_failures_total",
        "Requests for which no connection could be opened.",
        |service| &service.connect_failures,
    ),
    ("msctl_upstream_reuses_total", "Requests sent on a connection that was kept.", |service| {
        &service.reuses
    }),
    ("msctl_retry_budget_exhausted_total", "Retries not made because too many were under way.", |service| {
        &service.budget_exhausted
    }),
    ("msctl_ejections_total", "How often an instance was left out for a while.", |service| {
        &service.ejections
    }),
    ("msctl_breaker_opened_total", "How often the circuit breaker opened.", |service| {
        &service.breaker_opened
    }),
];

fn about_instances(text: &mut Text, metrics: &Metrics, table: &RouteTable) {
    let (services, now) = (table.services(), Instant::now());
    let name = "msctl_instances";
    text.family(name, Kind::Gauge, "Instances of a service: those that take requests, and the others.");
    for service in &services {
        let ready = service.ready().len();
        let labels = |state| [("service", service.name.as_str()), ("state", state)];
        text.sample(name, &labels("ready"), ready);
        text.sample(name, &labels("not_ready"), service.endpoints.saturating_sub(ready));
    }
    let name = "msctl_ejected_instances";
    text.family(name, Kind::Gauge, "Instances that are left out right now because they failed.");
    for service in &services {
        let ejected = service.ready().iter().filter(|upstream| upstream.outlier().is_ejected(now)).count();
        text.sample(name, &[("service", service.name.as_str())], ejected);
    }
    let name = "msctl_breaker_state";
    text.family(name, Kind::Gauge, "The circuit breaker of a service: 0 closed, 1 trying, 2 open.");
    for service in &services {
        let state = match service.state().breaker.state() {
            State::Closed => 0,
            State::HalfOpen => 1,
            State::Open { .. } => 2,
        };
        text.sample(name, &[("service", service.name.as_str())], state);
    }
    let readings = metrics.services();
    let name = "msctl_in_flight";
    text.family(name, Kind::Gauge, "Requests and tunnels that are open at a service.");
    for service in &readings {
        text.sample(name, &[("service", &service.service)], service.in_flight);
    }
    let name = "msctl_upstream_idle_connections";
    text.family(name, Kind::Gauge, "Connections to instances that wait to be used again.");
    for service in &readings {
        text.sample(name, &[("service", &service.service)], service.idle_connections);
    }
}

fn about_connections(text: &mut Text, counts: &ConnectionCounts) {
    let name = "msctl_connections";
    text.family(name, Kind::Gauge, "Open connections of clients.");
    text.sample(name, &[], counts.open);
    let name = "msctl_connections_total";
    text.family(name, Kind::Counter, "Connections of clients, by what became of them at first.");
    text.sample(name, &[("result", "accepted")], counts.accepted);
    text.sample(name, &[("result", "refused")], counts.refused);
    let name = "msctl_connections_shed_total";
    text.family(name, Kind::Counter, "Connections at rest that were closed to make room.");
    text.sample(name, &[], counts.shed);
}

fn about_the_gateway(text: &mut Text, metrics: &Metrics) {
    let tokens = &metrics.tokens;
    let name = "msctl_tokens_total";
    text.family(name, Kind::Counter, "Access tokens that were looked at, by what came of it.");
    text.sample(name, &[("result", "accepted")], tokens.accepted.get());
    text.sample(name, &[("result", "rejected")], tokens.rejected.get());
    let name = "msctl_token_cache_total";
    text.family(name, Kind::Counter, "Access tokens that had been verified before (hit), or not (miss).");
    text.sample(name, &[("result", "hit")], tokens.cache_hits.get());
    text.sample(name, &[("result", "miss")], tokens.cache_misses.get());
    let name = "msctl_config_generation";
    text.family(name, Kind::Gauge, "Grows with each route table that requests go by.");
    text.sample(name, &[], metrics.generation.get());
    let name = "msctl_config_refused_total";
    text.family(name, Kind::Counter, "Configurations that were refused, so that the one before stayed.");
    text.sample(name, &[], metrics.refused_configurations.get());
    let name = "msctl_certificate_expiry_timestamp_seconds";
    text.family(name, Kind::Gauge, "When the certificate of a listener ends, in seconds since 1970.");
    for (listener, ends) in metrics.certificates() {
        let ends = ends.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        text.sample(name, &[("listener", &listener.to_string())], ends);
    }
    let name = "msctl_build_info";
    text.family(name, Kind::Gauge, "Always 1; which msctl this is.");
    text.sample(name, &[("version", env!("CARGO_PKG_VERSION"))], 1);
}

fn about_the_log(text: &mut Text, log: &AccessLog) {
    let name = "msctl_access_log_lines_total";
    text.family(
        name,
        Kind::Counter,
        "Requests noted in the access log (written), or for which there was no room (dropped).",
    );
    text.sample(name, &[("result", "written")], log.written());
    text.sample(name, &[("result", "dropped")], log.dropped());
}
