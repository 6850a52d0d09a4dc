//! `cors = { … }` of a route: which pages of other origins may use it.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeValue;

use crate::model::traffic::{Cors, Origins};

use super::request_key::header_name;
use super::section::Section;
use super::values::Value;

const ORIGINS_EXAMPLE: &str = "[\"https://shop.example\"]";
/// Browsers keep an answer for a day at most.
const MAX_AGE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(24 * 3600);
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(600);

/// `None` where it cannot be told who may.
pub fn read(mut section: Section<'_>) -> Option<Cors> {
    let origins = section.require("origins", ORIGINS_EXAMPLE).and_then(read_origins);
    let headers = section.take("headers").map(read_headers).unwrap_or_default();
    let expose = section.take("expose").map(read_headers).unwrap_or_default();
    let credentials = section.take("credentials");
    let place = credentials.as_ref().map_or(section.place.clone(), |value| value.place.clone());
    let credentials = credentials.and_then(Value::flag).unwrap_or(false);
    let max_age = section.duration_or("max_age", MAX_AGE, DEFAULT_MAX_AGE);
    if credentials && origins == Some(Origins::Any) {
        section.problems.report(
            &place,
            "credentials are never sent to a route that is open to every origin",
            format!("name the origins, for example origins = {ORIGINS_EXAMPLE}, or leave credentials out"),
        );
    }
    section.close();
    Some(Cors { origins: origins?, headers, expose, credentials, max_age })
}

fn read_origins(value: Value<'_>) -> Option<Origins> {
    if matches!(&value.content, DeValue::String(text) if text == "*") {
        return Some(Origins::Any);
    }
    let (name, place, problems) = (value.name(), value.place.clone(), value.problems);
    let elements = value.list(ORIGINS_EXAMPLE)?;
    if elements.is_empty() {
        problems.report(&place, format!("{name} is an empty list"), "name an origin, or leave cors out");
        return None;
    }
    Some(Origins::Only(elements.into_iter().filter_map(read_origin).collect()))
}

fn read_origin(value: Value<'_>) -> Option<String> {
    let problems = value.problems;
    let text = value.text(ORIGINS_EXAMPLE)?;
    let Some((fault, hint)) = fault_of_origin(&text.value) else { return Some(text.value) };
    problems.report(&text.place, format!("{:?} is not an origin: {fault}", text.value), hint);
    None
}

/// As browsers send it, since it is compared as a text: scheme and host in lower case, no default
/// port, nothing after it (HTML standard, serialisation of an origin).
fn fault_of_origin(text: &str) -> Option<(&'static str, String)> {
    let example = || format!("for example origins = {ORIGINS_EXAMPLE}");
    if text == "*" {
        return Some(("it stands for all of them", "write origins = \"*\"".to_owned()));
    }
    if text == "null" {
        let fault = "every page without an origin of its own claims it, hostile ones too";
        return Some((fault, example()));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Some(("it must start with https:// or http://", example()));
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let lower = format!("{scheme}://{authority}").to_ascii_lowercase();
    let default_port = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    let serialised = lower.strip_suffix(default_port).unwrap_or(&lower);
    if authority.contains('*') {
        return Some(("each has to be named in full", example()));
    }
    let is_url = serialised.parse::<http::Uri>().is_ok_and(|uri| uri.host().is_some());
    if !is_url || authority.contains('@') || !is_scheme(scheme) {
        return Some(("it is not a scheme with a host", example()));
    }
    let fault = "browsers write it without path and default port, in lower case";
    (serialised != text).then(|| (fault, format!("write \"{serialised}\"")))
}

fn is_scheme(scheme: &str) -> bool {
    scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

fn read_headers(value: Value<'_>) -> BTreeSet<String> {
    let elements = value.list("[\"x-total\"]").unwrap_or_default();
    elements.into_iter().filter_map(read_header).collect()
}

fn read_header(value: Value<'_>) -> Option<String> {
    let (key, problems) = (value.key.clone(), value.problems);
    let text = value.text("[\"x-total\"]")?;
    // "*" is a valid token, but as a wildcard it does not cover what browsers guard most.
    let name = header_name(&text.value).filter(|name| name != "*");
    if name.is_none() {
        let message = format!("{:?} is not the name of a header", text.value);
        problems.report(&text.place, message, format!("for example {key} = [\"x-total\"]"));
    }
    name
}
