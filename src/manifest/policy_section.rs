//! What a route says beyond path, methods and access: limits, retries, and what browsers need.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeValue;

use crate::model::quantity::ByteSize;
use crate::model::traffic::{RateLimit, Redirect, RequestKey, RetryPolicy, RoutePolicy, Timeouts};

use super::section::Section;
use super::values::Value;
use super::{cors_section, request_key};

const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(24 * 3600);
const ATTEMPTS: RangeInclusive<u32> = 0..=10;
const CONCURRENT: RangeInclusive<u32> = 0..=1000;
const REQUESTS: RangeInclusive<i64> = 1..=1_000_000;
const PERIOD: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(24 * 3600);
const DEFAULT_PERIOD: Duration = Duration::from_secs(1);
/// The way of a redirect is kept, but nobody remembers it.
const DEFAULT_REDIRECT: u16 = 307;
const REDIRECTS: [i64; 4] = [301, 302, 307, 308];

/// Takes its keys out of the section of a route and leaves the rest.
pub fn read(section: &mut Section<'_>) -> RoutePolicy {
    let default = RoutePolicy::default();
    RoutePolicy {
        max_body: section.take("max_body").and_then(read_size).unwrap_or(default.max_body),
        timeouts: read_timeouts(section.section("timeout")),
        retries: section.take("retries").and_then(read_retries).unwrap_or(default.retries),
        rate_limit: section.take("rate_limit").and_then(Value::section).and_then(read_rate_limit),
        cors: section.take("cors").and_then(Value::section).and_then(cors_section::read),
        compress: section.flag_or("compress", default.compress),
        redirect: section.take("redirect").and_then(read_redirect),
        forward_authorization: section.flag_or("forward_authorization", default.forward_authorization),
    }
}

fn read_size(value: Value<'_>) -> Option<ByteSize> {
    let hint = |_: &str| "units are KiB, MiB, GiB and kB, MB, GB".to_owned();
    value.parsed::<ByteSize>("\"10MiB\"", hint).map(|size| size.value)
}

/// Where only the whole is said, the head of the response is part of it. What is said of pauses holds
/// for tunnels, too.
fn read_timeouts(mut section: Section<'_>) -> Timeouts {
    let default = Timeouts::default();
    let response = section.take("response");
    let place = response.as_ref().map(|value| (value.name(), value.place.clone()));
    let response = response.and_then(|value| value.duration_within(TIMEOUT, "\"15s\""));
    let total = section.duration_or("total", TIMEOUT, default.total);
    let idle = section.take("idle").and_then(|value| value.duration_within(TIMEOUT, "\"5m\""));
    if let (Some((name, place)), Some(response)) = (place, response.filter(|&response| response > total)) {
        let show = |duration| humantime::format_duration(duration);
        let message = format!("{name} is {}, more than total with {}", show(response), show(total));
        section.problems.report(&place, message, format!("for example total = \"{}\"", show(response)));
    }
    section.close();
    Timeouts {
        response: response.unwrap_or(default.response.min(total)),
        total,
        idle: idle.unwrap_or(default.idle),
        tunnel_idle: idle.unwrap_or(default.tunnel_idle),
    }
}

/// A number of attempts, or a table.
fn read_retries(value: Value<'_>) -> Option<RetryPolicy> {
    let default = RetryPolicy::default();
    match &value.content {
        DeValue::Table(_) => value.section().map(|section| read_retry_table(section, default)),
        DeValue::Integer(_) => {
            let range = i64::from(*ATTEMPTS.start())..=i64::from(*ATTEMPTS.end());
            let attempts = value.integer_within(range, "1")?;
            Some(RetryPolicy { attempts: u32::try_from(attempts).ok()?, ..default })
        }
        _ => value.wrong_type("a whole number or a table", "1"),
    }
}

fn read_retry_table(mut section: Section<'_>, default: RetryPolicy) -> RetryPolicy {
    let policy = RetryPolicy {
        attempts: section.count_or("attempts", ATTEMPTS, default.attempts),
        budget: section.share_or("budget", default.budget),
        min_concurrent: section.count_or("min_concurrent", CONCURRENT, default.min_concurrent),
        on_status: section.flag_or("on_status", default.on_status),
    };
    section.close();
    policy
}

fn read_rate_limit(mut section: Section<'_>) -> Option<RateLimit> {
    let requests = section.require("requests", "100");
    let requests = requests.and_then(|value| value.integer_within(REQUESTS, "100"));
    let requests = requests.and_then(|requests| u32::try_from(requests).ok());
    let period = section.duration_or("per", PERIOD, DEFAULT_PERIOD);
    let burst = section.take("burst").and_then(|value| value.integer_within(REQUESTS, "20"));
    let burst = burst.and_then(|burst| u32::try_from(burst).ok());
    let key = section.take("key").and_then(request_key::read).unwrap_or(RequestKey::Client);
    section.close();
    let requests = requests?;
    Some(RateLimit { requests, period, burst: burst.unwrap_or(requests), key })
}

/// Where to, or a table that also says how.
fn read_redirect(value: Value<'_>) -> Option<Redirect> {
    match &value.content {
        DeValue::String(_) => read_target(value).map(|to| Redirect { to, status: DEFAULT_REDIRECT }),
        DeValue::Table(_) => read_redirect_table(value.section()?),
        _ => value.wrong_type("a text or a table", "\"/new\""),
    }
}

fn read_redirect_table(mut section: Section<'_>) -> Option<Redirect> {
    let to = section.require("to", "\"/new\"").and_then(read_target);
    let status = section.take("status").and_then(read_status).unwrap_or(DEFAULT_REDIRECT);
    section.close();
    Some(Redirect { to: to?, status })
}

fn read_status(value: Value<'_>) -> Option<u16> {
    let (name, place, problems) = (value.name(), value.place.clone(), value.problems);
    let status = value.integer_within(0..=999, "308")?;
    if !REDIRECTS.contains(&status) {
        let message = format!("{name} is {status}, which is not the status of a redirect");
        let hint = "for good: 308, or 301, which may turn POST into GET; for now: 307, or 302 likewise";
        problems.report(&place, message, hint);
    }
    u16::try_from(status).ok()
}

/// It is sent as `Location`, so it holds nothing that would end the header.
fn read_target(value: Value<'_>) -> Option<String> {
    let (name, problems) = (value.name(), value.problems);
    let to = value.text("\"/new\"")?;
    let Some(fault) = fault_of_target(&to.value) else { return Some(to.value) };
    let message = format!("{name} is {:?}: {fault}", to.value);
    problems.report(&to.place, message, "for example \"/new\", \"/new/*\" or \"https://shop.example/*\"");
    None
}

fn fault_of_target(to: &str) -> Option<&'static str> {
    let stem = to.strip_suffix("/*").unwrap_or(to);
    let url = stem.strip_prefix("https://").or_else(|| stem.strip_prefix("http://"));
    let host = url.map(|rest| rest.split('/').next().unwrap_or_default());
    if !to.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'<' | b'>')) {
        return Some("it may hold only visible ASCII, without quotes and backslashes");
    }
    if stem.contains('*') {
        return Some("a * may only follow a / at its end, for what comes after the path of the route");
    }
    match host {
        Some(host) if host.is_empty() || host.contains(['@', '?', '#']) => {
            Some("it must name a host, and no user")
        }
        Some(_) if stem.parse::<http::Uri>().is_err() => Some("it is not a URL"),
        None if to.starts_with("//") => Some("it would lead to another host"),
        None if !to.starts_with('/') => Some("it is neither a path nor an http or https URL"),
        Some(_) | None => None,
    }
}
