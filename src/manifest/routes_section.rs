//! `[[routes]]`: what a service answers to at the gateway. How routes of several services fit
//! together is a matter of `checks`.

use std::collections::BTreeSet;

use toml::de::DeValue;

use crate::model::route::{Access, Methods, Route, RoutePrefix, Scope};

use super::policy_section;
use super::section::Section;
use super::source::Located;
use super::suggestion::did_you_mean;
use super::values::Value;

/// The methods that a request may have (RFC 9110, section 9.3, and RFC 5789), less CONNECT and
/// TRACE, which the gateway refuses.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const ACCESS_EXAMPLE: &str = "\"authenticated\", \"public\" or { scopes = [\"orders:write\"] }";
const HOSTS_EXAMPLE: &str = "[\"shop.example\"]";
/// A route that says nothing about access is not open to everybody.
const DEFAULT_ACCESS: Access = Access::Authenticated;

pub fn read(routes: Option<Value<'_>>) -> Vec<Located<Route>> {
    let sections = routes.and_then(|routes| routes.sections("[{ path = \"/orders\" }]")).unwrap_or_default();
    sections.into_iter().filter_map(read_route).collect()
}

fn read_route(mut section: Section<'_>) -> Option<Located<Route>> {
    let prefix = section.require("path", "\"/orders\"").and_then(read_prefix);
    let methods = section.take("methods").map_or(Methods::All, read_methods);
    let access = section.take("access").and_then(read_access).unwrap_or(DEFAULT_ACCESS);
    let strip_prefix = section.take("strip_prefix").and_then(Value::flag).unwrap_or(false);
    let hosts = section.take("hosts").map(read_hosts).unwrap_or_default();
    let policy = policy_section::read(&mut section);
    section.close();
    let prefix = prefix?;
    let route = Route { prefix: prefix.value, methods, access, strip_prefix, hosts, policy };
    Some(Located { value: route, place: prefix.place })
}

fn read_prefix(value: Value<'_>) -> Option<Located<RoutePrefix>> {
    value.parsed("\"/orders\"", |text| {
        let segments: Vec<&str> = text.split('/').filter(|s| !matches!(*s, "" | "." | "..")).collect();
        let normal = format!("/{}", segments.join("/"));
        match normal.parse::<RoutePrefix>() {
            Ok(prefix) => format!("for example path = \"{prefix}\""),
            Err(_) => "for example path = \"/orders\"".to_owned(),
        }
    })
}

/// Where a method could not be read, the route stands for those that could.
fn read_methods(value: Value<'_>) -> Methods {
    let (place, problems) = (value.place.clone(), value.problems);
    let Some(elements) = value.list("[\"GET\"]") else { return Methods::All };
    if elements.is_empty() {
        problems.report(
            &place,
            "methods is an empty list: nothing would ever match",
            "leave methods out to stand for all",
        );
    }
    let methods: BTreeSet<String> = elements.into_iter().filter_map(read_method).collect();
    if methods.is_empty() { Methods::All } else { Methods::Only(methods) }
}

fn read_method(value: Value<'_>) -> Option<String> {
    let problems = value.problems;
    let method = value.text("[\"GET\"]")?;
    if METHODS.contains(&method.value.as_str()) {
        return Some(method.value);
    }
    let message = format!("{:?} is not a method that the gateway routes", method.value);
    problems.report(&method.place, message, did_you_mean(&method.value, "the methods", &METHODS));
    None
}

/// Host names as requests have them, in lower case.
pub fn read_hosts(value: Value<'_>) -> BTreeSet<String> {
    let (place, problems) = (value.place.clone(), value.problems);
    let Some(elements) = value.list(HOSTS_EXAMPLE) else { return BTreeSet::new() };
    if elements.is_empty() {
        problems.report(
            &place,
            "hosts is an empty list: nothing would ever match",
            "leave hosts out to stand for all",
        );
    }
    elements.into_iter().filter_map(read_host).collect()
}

fn read_host(value: Value<'_>) -> Option<String> {
    let problems = value.problems;
    let host = value.text(HOSTS_EXAMPLE)?;
    let lower = host.value.to_ascii_lowercase();
    let Some(fault) = fault_of_host(&lower) else { return Some(lower) };
    let message = format!("{:?} is not a host name: {fault}", host.value);
    problems.report(&host.place, message, format!("for example hosts = {HOSTS_EXAMPLE}"));
    None
}

fn fault_of_host(host: &str) -> Option<&'static str> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if host.contains('*') {
        return Some("each has to be named in full");
    }
    if host.contains("://") || host.contains('/') {
        return Some("leave out the scheme and the path");
    }
    if host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())) {
        return Some("leave out the port: a host is the same at every port");
    }
    if host.is_empty() || host.len() > 253 || !host.bytes().all(allowed) {
        return Some("use letters, digits, \"-\", \"_\" and \".\"");
    }
    (host.split('.').any(str::is_empty)).then_some("it has an empty part")
}

fn read_access(value: Value<'_>) -> Option<Access> {
    if matches!(value.content, DeValue::Table(_)) {
        return read_scopes(value.section()?);
    }
    let problems = value.problems;
    let access = value.text(ACCESS_EXAMPLE)?;
    match access.value.as_str() {
        "public" => return Some(Access::Public),
        "authenticated" => return Some(Access::Authenticated),
        _ => {}
    }
    let message = format!("{:?} is not a kind of access", access.value);
    let hint = did_you_mean(
        &access.value,
        "the kinds of access",
        &["public", "authenticated", "{ scopes = [\"orders:write\"] }"],
    );
    problems.report(&access.place, message, hint);
    None
}

fn read_scopes(mut section: Section<'_>) -> Option<Access> {
    let example = "[\"orders:write\"]";
    let list = section.require("scopes", example);
    let (place, problems) = (section.place.clone(), section.problems);
    section.close();
    let elements = list?.list(example)?;
    if elements.is_empty() {
        problems.report(
            &place,
            "access asks for no scope at all",
            "name a scope, or write access = \"authenticated\"",
        );
        return None;
    }
    let hint = |_: &str| format!("for example scopes = {example}");
    let scope = |value: Value<'_>| value.parsed::<Scope>(example, hint).map(|scope| scope.value);
    Some(Access::Scopes(elements.into_iter().filter_map(scope).collect()))
}
