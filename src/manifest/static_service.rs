//! `[[services]]` of a gateway that runs alone: endpoints, and what a `service.toml` says of traffic.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeValue;

use crate::model::instance::Generation;
use crate::model::name::ServiceName;
use crate::model::standalone::{EndpointUrl, ProbePolicy, Probing, StaticEndpoint, StaticService};
use crate::model::traffic::UpstreamProtocol;

use super::gateway_file::Described;
use super::section::Section;
use super::source::Located;
use super::suggestion::{did_you_mean, similar_name};
use super::values::Value;
use super::{routes_section, traffic_section};

const ENDPOINTS: &str = "[\"http://10.0.0.7:9000\"]";
const INTERVAL: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(3600);
const TIMES: RangeInclusive<u32> = 1..=100;

/// `None` where not even its name can be told.
pub fn read(mut section: Section<'_>) -> Option<Described> {
    let problems = section.problems;
    let name = section.require("name", "\"orders\"").and_then(|value| {
        value.parsed::<ServiceName>("\"orders\"", |text| format!("for example {:?}", similar_name(text)))
    });
    let endpoints = section.require("endpoints", ENDPOINTS).map(read_endpoints).unwrap_or_default();
    let probing = section.take("probe").and_then(read_probing);
    let mut traffic = traffic_section::read(section.section("traffic"));
    let routes = section.require("routes", "[{ path = \"/orders\" }]");
    let routes = routes_section::read(routes);
    section.close();
    if endpoints.iter().any(|endpoint| endpoint.value.url.protocol == UpstreamProtocol::Http2) {
        traffic.protocol = UpstreamProtocol::Http2;
    }
    if let Some(other) = endpoints.iter().find(|e| e.value.url.protocol != endpoints[0].value.url.protocol) {
        let message = "one service speaks one protocol, but its endpoints are http:// and h2c://";
        problems.report(&other.place, message, "make two services of it");
    }
    let name = name?;
    let service = StaticService {
        name: name.value.clone(),
        place: name.place.to_string(),
        endpoints: endpoints.into_iter().map(|endpoint| endpoint.value).collect(),
        routes: Vec::new(),
        traffic,
        probing: probing.unwrap_or_else(|| Probing::On(ProbePolicy::default())),
    };
    Some(Described { name, routes, service })
}

fn read_endpoints(value: Value<'_>) -> Vec<Located<StaticEndpoint>> {
    let (place, problems) = (value.place.clone(), value.problems);
    let Some(elements) = value.list(ENDPOINTS) else { return Vec::new() };
    if elements.is_empty() {
        let hint = format!("for example endpoints = {ENDPOINTS}");
        problems.report(&place, "endpoints is an empty list: nobody would ever answer", hint);
    }
    let mut endpoints: Vec<Located<StaticEndpoint>> = Vec::new();
    for endpoint in elements.into_iter().filter_map(read_endpoint) {
        if endpoints.iter().any(|known| known.value == endpoint.value) {
            let message = format!("{} is listed twice", endpoint.value.url);
            problems.report(&endpoint.place, message, "keep one of the two");
        } else {
            endpoints.push(endpoint);
        }
    }
    endpoints
}

/// A URL, or a table with a URL and the generation that answers there.
fn read_endpoint(value: Value<'_>) -> Option<Located<StaticEndpoint>> {
    if !matches!(value.content, DeValue::Table(_)) {
        return read_url(value)
            .map(|url| url.map(|url| StaticEndpoint { url, generation: Generation::FIRST }));
    }
    let mut section = value.section()?;
    let url = section.require("url", "\"http://10.0.0.7:9000\"").and_then(read_url);
    let number = section.count_or("generation", 1..=1_000_000, 1);
    section.close();
    let generation = Generation::new(number).unwrap_or(Generation::FIRST);
    Some(url?.map(|url| StaticEndpoint { url, generation }))
}

fn read_url(value: Value<'_>) -> Option<Located<EndpointUrl>> {
    value.parsed::<EndpointUrl>("\"http://10.0.0.7:9000\"", |_| {
        "for example \"http://10.0.0.7:9000\", or \"h2c://chat:50051\" where HTTP/2 is spoken".to_owned()
    })
}

/// `"off"`, `"tcp"`, or a table.
fn read_probing(value: Value<'_>) -> Option<Probing> {
    if matches!(value.content, DeValue::Table(_)) {
        return value.section().map(read_probe).map(Probing::On);
    }
    let problems = value.problems;
    let text = value.text("{ path = \"/health/ready\" }")?;
    match text.value.as_str() {
        "off" => return Some(Probing::Off),
        "tcp" => return Some(Probing::On(ProbePolicy::default())),
        _ => {}
    }
    let message = format!("{:?} is not a way to probe", text.value);
    let ways = ["off", "tcp", "{ path = \"/health/ready\" }"];
    problems.report(&text.place, message, did_you_mean(&text.value, "the ways to probe", &ways));
    None
}

fn read_probe(mut section: Section<'_>) -> ProbePolicy {
    let default = ProbePolicy::default();
    let policy = ProbePolicy {
        path: section.take("path").and_then(read_path),
        interval: section.duration_or("interval", INTERVAL, default.interval),
        fast_interval: section.duration_or("fast_interval", INTERVAL, default.fast_interval),
        timeout: section.duration_or("timeout", INTERVAL, default.timeout),
        rise: section.count_or("rise", TIMES, default.rise),
        fall: section.count_or("fall", TIMES, default.fall),
    };
    section.close();
    policy
}

fn read_path(value: Value<'_>) -> Option<String> {
    let (name, problems) = (value.name(), value.problems);
    let path = value.text("\"/health/ready\"")?;
    let plain = path.value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if path.value.starts_with('/') && plain && path.value.parse::<http::Uri>().is_ok() {
        return Some(path.value);
    }
    let message = format!("{name} is {:?}, which is not a path", path.value);
    problems.report(&path.place, message, "for example path = \"/health/ready\"");
    None
}
