//! `msctl top`: what the gateway is doing right now, between two looks at what it has counted.

use std::time::Duration;

use serde::Serialize;

use super::context::Context;
use super::error::OpsError;
use crate::admin::client::Client;
use crate::admin::{RouteTraffic, ServiceTraffic, Traffic, TrafficReport};

/// The version of the document; grows when a field changes its meaning.
const SCHEMA: &str = "msctl.top/1";

/// What happened between two looks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Frame {
    pub schema: &'static str,
    pub interval_ms: u64,
    pub services: Vec<ServiceLine>,
    /// Requests that led to no service.
    pub unrouted: Line,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServiceLine {
    pub service: String,
    /// Instances that take requests, and all.
    pub ready: usize,
    pub endpoints: usize,
    /// Requests and tunnels that are open now.
    pub in_flight: usize,
    #[serde(flatten)]
    pub all: Line,
    pub routes: Vec<RouteLine>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RouteLine {
    pub route: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub methods: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hosts: String,
    #[serde(flatten)]
    pub line: Line,
}

/// Of one route, or of several together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Line {
    pub requests: u64,
    /// Of these, answered with 5xx.
    pub errors: u64,
    pub requests_per_second: f64,
    /// `null` where there was no request.
    pub p50_us: Option<u64>,
    pub p99_us: Option<u64>,
}

/// A platform that is looked at again and again.
#[derive(Debug)]
pub struct Watch {
    client: Client,
    before: TrafficReport,
}

impl Watch {
    /// The first look.
    ///
    /// # Errors
    /// When the platform is not up.
    pub async fn begin(context: &Context) -> Result<Self, OpsError> {
        let client = context.client(&context.identify()?)?;
        let before = client.traffic().await?;
        Ok(Self { client, before })
    }

    /// Looks again, after as long as the caller has waited.
    ///
    /// # Errors
    /// When the platform is not up any more.
    pub async fn look(&mut self) -> Result<Frame, OpsError> {
        let now = self.client.traffic().await?;
        let frame = between(&self.before, &now);
        self.before = now;
        Ok(frame)
    }
}

/// Pure. Where the counters began anew in between, everything since then counts.
#[must_use]
pub fn between(before: &TrafficReport, now: &TrafficReport) -> Frame {
    let interval_ms = now.at_ms.checked_sub(before.at_ms).unwrap_or(now.at_ms);
    let interval = Duration::from_millis(interval_ms);
    let services = now.services.iter().map(|service| {
        let earlier = before.services.iter().find(|earlier| earlier.service == service.service);
        service_line(earlier, service, interval)
    });
    Frame {
        schema: SCHEMA,
        interval_ms,
        services: services.collect(),
        unrouted: line(&now.unrouted.since(&before.unrouted), interval),
    }
}

fn service_line(earlier: Option<&ServiceTraffic>, now: &ServiceTraffic, interval: Duration) -> ServiceLine {
    let since = |route: &RouteTraffic| {
        let same = |other: &&RouteTraffic| {
            (&other.route, &other.methods, &other.hosts) == (&route.route, &route.methods, &route.hosts)
        };
        let before = earlier.and_then(|earlier| earlier.routes.iter().find(same));
        before.map_or(route.traffic, |before| route.traffic.since(&before.traffic))
    };
    let routes: Vec<(&RouteTraffic, Traffic)> =
        now.routes.iter().map(|route| (route, since(route))).collect();
    let all = routes.iter().fold(Traffic::default(), |all, (_, traffic)| all.and(traffic));
    let lines = routes.iter().map(|(route, traffic)| RouteLine {
        route: route.route.clone(),
        methods: route.methods.clone(),
        hosts: route.hosts.clone(),
        line: line(traffic, interval),
    });
    ServiceLine {
        service: now.service.clone(),
        ready: now.ready,
        endpoints: now.endpoints,
        in_flight: now.in_flight,
        all: line(&all, interval),
        routes: lines.collect(),
    }
}

fn line(traffic: &Traffic, interval: Duration) -> Line {
    let micros = |percent| {
        let duration = traffic.durations.percentile(percent)?;
        u64::try_from(duration.as_micros()).ok()
    };
    Line {
        requests: traffic.requests,
        errors: traffic.errors,
        requests_per_second: per_second(traffic.requests, interval),
        p50_us: micros(50),
        p99_us: micros(99),
    }
}

/// To a tenth.
fn per_second(count: u64, interval: Duration) -> f64 {
    let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(1);
    let tenths = count.saturating_mul(10_000) / millis;
    f64::from(u32::try_from(tenths).unwrap_or(u32::MAX)) / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::histogram::Durations;

    fn traffic(requests: u64, errors: u64) -> Traffic {
        let mut durations = Durations::default();
        durations.counts[3] = requests;
        Traffic { requests, errors, durations, ..Traffic::default() }
    }

    fn report(at_ms: u64, requests: u64, errors: u64) -> TrafficReport {
        let route = |route: &str, traffic| RouteTraffic {
            route: route.to_owned(),
            methods: String::new(),
            hosts: String::new(),
            traffic,
        };
        let service = ServiceTraffic {
            service: "order".to_owned(),
            in_flight: 2,
            ready: 1,
            endpoints: 3,
            routes: vec![route("/orders", traffic(requests, errors)), route("/", traffic(5, 0))],
        };
        TrafficReport { at_ms, services: vec![service], unrouted: traffic(requests, 0) }
    }

    #[test]
    fn rates_are_what_came_between_two_looks() {
        let frame = between(&report(1_000, 10, 1), &report(3_000, 110, 11));
        let order = &frame.services[0];
        assert_eq!((order.all.requests, order.all.errors, order.all.requests_per_second), (100, 10, 50.0));
        assert_eq!((order.ready, order.endpoints, order.in_flight), (1, 3, 2));
        assert!(order.all.p50_us.is_some_and(|p50| (500..=1_000).contains(&p50)), "{order:?}");
        assert_eq!((order.routes[1].line.requests, order.routes[1].line.p99_us), (0, None));
        assert_eq!(frame.unrouted.requests_per_second, 50.0);
    }

    #[test]
    fn a_platform_that_began_anew_counts_from_there() {
        let frame = between(&report(60_000, 1_000, 0), &report(500, 3, 0));
        assert_eq!((frame.interval_ms, frame.services[0].routes[0].line.requests), (500, 3));
    }
}
