//! `[traffic]`: how the gateway treats the instances of a service. Everything in it has a default.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeValue;

use crate::model::traffic::{
    Balance, BreakerPolicy, Canary, OutlierPolicy, RequestKey, TrafficPolicy, UpstreamProtocol,
};

use super::request_key::{self, header_name, is_cookie_name};
use super::section::Section;
use super::suggestion::did_you_mean;
use super::values::Value;

const SLOW_START: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(600);
const IN_FLIGHT: RangeInclusive<u32> = 1..=1_000_000;
const FAILURES: RangeInclusive<u32> = 1..=10_000;
/// None at all stands for never.
const EJECTING_FAILURES: RangeInclusive<u32> = 0..=10_000;
const WINDOW: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3600);
const PAUSE: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(3600);

const BALANCES: [&str; 3] = ["least_request", "round_robin", "{ consistent = \"client\" }"];

pub fn read(mut section: Section<'_>) -> TrafficPolicy {
    let default = TrafficPolicy::default();
    let policy = TrafficPolicy {
        protocol: section.take("protocol").and_then(read_protocol).unwrap_or_default(),
        balance: section.take("balance").and_then(read_balance).unwrap_or_default(),
        slow_start: section.duration_or("slow_start", SLOW_START, default.slow_start),
        max_in_flight: section.count_or("max_in_flight", IN_FLIGHT, default.max_in_flight),
        breaker: read_breaker(section.section("breaker")),
        outlier: read_outlier(section.section("outlier")),
        canary: section.take("canary").and_then(Value::section).map(read_canary),
    };
    section.close();
    policy
}

fn read_protocol(value: Value<'_>) -> Option<UpstreamProtocol> {
    let (name, problems) = (value.name(), value.problems);
    let text = value.text("\"http2\"")?;
    match text.value.as_str() {
        "http1" => return Some(UpstreamProtocol::Http1),
        "http2" => return Some(UpstreamProtocol::Http2),
        _ => {}
    }
    let message = format!("{name} is {:?}, which the gateway does not speak with instances", text.value);
    let hint = match text.value.as_str() {
        "grpc" | "h2c" | "h2" => "write protocol = \"http2\"".to_owned(),
        other => did_you_mean(other, "the protocols", &["http1", "http2"]),
    };
    problems.report(&text.place, message, hint);
    None
}

fn read_balance(value: Value<'_>) -> Option<Balance> {
    if matches!(value.content, DeValue::Table(_)) {
        return read_consistent(value.section()?);
    }
    let problems = value.problems;
    let text = value.text("\"least_request\"")?;
    match text.value.as_str() {
        "least_request" => return Some(Balance::LeastRequest),
        "round_robin" => return Some(Balance::RoundRobin),
        _ => {}
    }
    let message = format!("{:?} is not a way to balance", text.value);
    problems.report(&text.place, message, did_you_mean(&text.value, "the ways to balance", &BALANCES));
    None
}

fn read_consistent(mut section: Section<'_>) -> Option<Balance> {
    let value = section.require("consistent", "\"client\"");
    section.close();
    let (place, problems) = value.as_ref().map(|value| (value.place.clone(), value.problems))?;
    let key = value.and_then(request_key::read)?;
    if key == RequestKey::Everyone {
        let message = "with the key \"everyone\", one instance would get every request";
        problems.report(&place, message, "choose another key, or write balance = \"least_request\"");
        return None;
    }
    Some(Balance::Consistent(key))
}

fn read_breaker(mut section: Section<'_>) -> BreakerPolicy {
    let default = BreakerPolicy::default();
    let pause = section.duration_or("pause", PAUSE, default.pause);
    let policy = BreakerPolicy {
        consecutive_failures: section.count_or(
            "consecutive_failures",
            FAILURES,
            default.consecutive_failures,
        ),
        success_rate: section.share_or("success_rate", default.success_rate),
        minimum: section.count_or("minimum", FAILURES, default.minimum),
        window: section.duration_or("window", WINDOW, default.window),
        pause,
        max_pause: read_longest(&mut section, "max_pause", ("pause", pause), default.max_pause),
    };
    section.close();
    policy
}

fn read_outlier(mut section: Section<'_>) -> OutlierPolicy {
    let default = OutlierPolicy::default();
    let ejection = section.duration_or("ejection", PAUSE, default.ejection);
    let policy = OutlierPolicy {
        consecutive_failures: section.count_or(
            "consecutive_failures",
            EJECTING_FAILURES,
            default.consecutive_failures,
        ),
        ejection,
        max_ejection: read_longest(
            &mut section,
            "max_ejection",
            ("ejection", ejection),
            default.max_ejection,
        ),
        max_share: section.share_or("max_share", default.max_share),
        panic_below: section.share_or("panic_below", default.panic_below),
    };
    section.close();
    policy
}

/// The longest of waits that grow from `first`. Where only the first one is said, it is at least that.
fn read_longest(
    section: &mut Section<'_>,
    key: &'static str,
    (first_key, first): (&str, Duration),
    default: Duration,
) -> Duration {
    let Some(value) = section.take(key) else { return default.max(first) };
    let (name, place) = (value.name(), value.place.clone());
    let Some(longest) = value.duration_within(PAUSE, "\"30s\"") else { return default.max(first) };
    if longest < first {
        let show = |duration| humantime::format_duration(duration);
        let message = format!("{name} is {}, less than {first_key} with {}", show(longest), show(first));
        section.problems.report(&place, message, format!("for example {key} = \"{}\"", show(first)));
    }
    longest
}

fn read_canary(mut section: Section<'_>) -> Canary {
    let (weight, header, cookie) = (section.take("weight"), section.take("header"), section.take("cookie"));
    if weight.is_none() && header.is_none() && cookie.is_none() {
        let message = "[traffic.canary] names nobody who is served by the newest generation";
        let hint = "for example weight = 10, or header = \"x-canary: yes\", or cookie = \"canary=yes\"";
        section.problems.report(&section.place, message, hint);
    }
    section.close();
    let weight = weight.and_then(|value| value.integer_within(0..=100, "10"));
    Canary {
        weight: weight.and_then(|weight| u8::try_from(weight).ok()).unwrap_or(0),
        header: header.and_then(read_header),
        cookie: cookie.and_then(read_cookie),
    }
}

fn read_header(value: Value<'_>) -> Option<(String, String)> {
    read_pair(value, ':', "\"x-canary: yes\"", |name, text| {
        let visible = !text.is_empty() && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        header_name(name).filter(|_| visible)
    })
}

fn read_cookie(value: Value<'_>) -> Option<(String, String)> {
    read_pair(value, '=', "\"canary=yes\"", |name, text| {
        let plain = text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b';' | b',' | b'"' | b'\\'));
        (is_cookie_name(name) && plain && !text.is_empty()).then(|| name.to_owned())
    })
}

/// A name and a value, with `sign` between them. `name` gives the name, if both are fine.
fn read_pair(
    value: Value<'_>,
    sign: char,
    example: &str,
    name: impl Fn(&str, &str) -> Option<String>,
) -> Option<(String, String)> {
    let (shown, key, problems) = (value.name(), value.key.clone(), value.problems);
    let text = value.text(example)?;
    let parts = text.value.split_once(sign).map(|(left, right)| (left.trim(), right.trim()));
    let pair = parts.and_then(|(left, right)| Some((name(left, right)?, right.to_owned())));
    if pair.is_none() {
        let message = format!("{shown} is {:?}, which is not a name and a value", text.value);
        problems.report(&text.place, message, format!("for example {key} = {example}"));
    }
    pair
}
