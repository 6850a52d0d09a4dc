//! What is counted, as Prometheus reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, UNIX_EPOCH};

use super::backend::Backend;
use super::harness::{World, instance, send};
use crate::gateway::metrics::render;
use crate::model::catalog::EndpointState::{Ready, Starting};

/// An exposition, read strictly (text format 0.0.4): every sample by its name with its labels.
struct Exposition {
    kinds: BTreeMap<String, String>,
    samples: BTreeMap<String, f64>,
}

impl Exposition {
    fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line ends");
        let mut read = Self { kinds: BTreeMap::new(), samples: BTreeMap::new() };
        let (mut helped, mut current) = (BTreeSet::new(), String::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(is_name(name) && !help.is_empty() && helped.insert(name.to_owned()), "{line}");
                current = name.to_owned();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(name == current && matches!(kind, "counter" | "gauge" | "histogram"), "{line}");
                assert!(read.kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
            } else {
                read.sample(line, &current);
            }
        }
        read.check_histograms();
        read
    }

    fn sample(&mut self, line: &str, family: &str) {
        let (name, labels, value) = split(line);
        let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("outside its family: {line}"));
        match self.kinds[family].as_str() {
            "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&suffix), "{line}"),
            "counter" => assert!(suffix.is_empty() && name.ends_with("_total"), "{line}"),
            _ => assert!(suffix.is_empty() && !name.ends_with("_total"), "{line}"),
        }
        let labels: Vec<String> = labels.iter().map(|(label, text)| format!("{label}={text}")).collect();
        let key = format!("{name} {}", labels.join(" "));
        assert!(self.samples.insert(key.trim().to_owned(), value).is_none(), "twice: {line}");
    }

    /// Buckets grow, and the last one is the count.
    fn check_histograms(&self) {
        for (key, count) in self.samples.iter().filter(|(key, _)| key.contains("_count")) {
            let prefix = key.replacen("_count", "_bucket", 1);
            let own = self
                .samples
                .iter()
                .filter(|(key, _)| key.rsplit_once(" le=").is_some_and(|(k, _)| k == prefix));
            let mut buckets: Vec<(f64, f64)> =
                own.map(|(key, value)| (number(key.rsplit_once(" le=").unwrap().1), *value)).collect();
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(buckets.is_sorted_by(|a, b| a.1 <= b.1), "{key} {buckets:?}");
            assert_eq!(buckets.last(), Some(&(f64::INFINITY, *count)), "{key}");
        }
    }

    #[track_caller]
    fn is(&self, sample: &str, expected: f64) {
        let near = || self.samples.keys().filter(|key| key.starts_with(sample.split(' ').next().unwrap()));
        let found = self.samples.get(sample);
        assert_eq!(found, Some(&expected), "{sample} among {:#?}", near().collect::<Vec<_>>());
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn number(text: &str) -> f64 {
    if text == "+Inf" { f64::INFINITY } else { text.parse().unwrap() }
}

fn split(line: &str) -> (&str, Vec<(String, String)>, f64) {
    let end = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap();
            assert!(is_name(label), "{line}");
            let (text, after) = quoted(after);
            labels.push((label.to_owned(), text));
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None => break rest = after.strip_prefix('}').unwrap(),
            }
        }
    }
    (name, labels, number(rest.strip_prefix(' ').unwrap()))
}

fn quoted(text: &str) -> (String, &str) {
    let mut read = String::new();
    let mut chars = text.char_indices();
    loop {
        match chars.next().unwrap() {
            (at, '"') => return (read, &text[at + 1..]),
            (_, '\\') => read.push(match chars.next().unwrap().1 {
                'n' => '\n',
                c @ ('"' | '\\') => c,
                c => panic!("no escape: {c}"),
            }),
            (_, c) => read.push(c),
        }
    }
}

/// Once all that was asked for is counted: a client may have its answer a moment before that.
async fn read(world: &World, sample: &str, expected: f64) -> Exposition {
    let waiting = async {
        loop {
            let exposition = Exposition::parse(&render(&world.gateway.sight()));
            if exposition.samples.get(sample) == Some(&expected) {
                return exposition;
            }
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(super::wire::PATIENCE, waiting).await;
    waited.unwrap_or_else(|_| panic!("{sample} never was {expected}:\n{}", render(&world.gateway.sight())))
}

#[tokio::test]
async fn an_idle_gateway_has_a_valid_exposition() {
    let world = World::new().await;
    let read = Exposition::parse(&render(&world.gateway.sight()));
    assert!(read.kinds.len() > 20, "{:?}", read.kinds);
    read.is("msctl_in_flight service=order", 0.0);
    read.is("msctl_config_generation", 1.0);
    read.is(&format!("msctl_build_info version={}", env!("CARGO_PKG_VERSION")), 1.0);
}

#[tokio::test]
async fn requests_are_counted_by_route_method_status_and_reason() {
    let backend = Backend::named("12345").await;
    let mut world = World::serving(backend.address).await;
    for path in ["/orders/1", "/orders/2", "/orders"] {
        world.get(path, "").await;
    }
    world.get("/private", "").await;
    world.get("/products/3", "").await;
    world.send("BREW /orders HTTP/1.1\r\nHost: a\r\n\r\n").await;
    world.send("DELETE /admin HTTP/1.1\r\nHost: a\r\n\r\n").await;
    world.get("/auth/login", "").await;
    world.set("product", &[(1, backend.address, Ready), (2, backend.address, Starting)]);
    send(world.link, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let order = "service=order route=/orders";
    let read =
        read(&world, "msctl_requests_total service=product route=calls method=GET code=200", 1.0).await;
    read.is(&format!("msctl_requests_total {order} method=GET code=200"), 3.0);
    read.is(&format!("msctl_requests_total {order} method=other code=200"), 1.0);
    read.is("msctl_requests_total service=order route=/private method=GET code=401 response_flag=UA", 1.0);
    read.is("msctl_requests_total service=product route=/products method=GET code=503 response_flag=UH", 1.0);
    read.is("msctl_requests_total method=DELETE code=405 response_flag=NR", 1.0);
    read.is("msctl_requests_total service=msctl method=GET code=200", 1.0);
    read.is(&format!("msctl_request_duration_seconds_count {order}"), 4.0);
    read.is(&format!("msctl_response_bytes_total {order}"), 20.0);
    read.is("msctl_upstream_duration_seconds_count service=order", 4.0);
    read.is("msctl_instances service=product state=ready", 1.0);
    read.is("msctl_instances service=product state=not_ready", 1.0);
    read.is("msctl_config_generation", 3.0);
    read.is("msctl_connections_total result=refused", 0.0);
}

#[tokio::test]
async fn counts_survive_a_change_of_the_route_table() {
    let backend = Backend::named("a").await;
    let mut world = World::serving(backend.address).await;
    for _ in 0..3 {
        world.get("/orders", "").await;
        world.set("order", &[(1, backend.address, Ready)]);
    }
    let sample = "msctl_requests_total service=order route=/orders method=GET code=200";
    read(&world, sample, 3.0).await;
}

#[tokio::test]
async fn connections_to_instances_are_counted_when_opened_and_when_used_again() {
    let backend = Backend::named("a").await;
    let world = World::serving(backend.address).await;
    for _ in 0..3 {
        world.get("/orders", "").await;
    }
    let read = read(&world, "msctl_upstream_reuses_total service=order", 2.0).await;
    read.is("msctl_upstream_connects_total service=order", 1.0);
    read.is("msctl_upstream_idle_connections service=order", 1.0);
    read.is("msctl_upstream_connect_failures_total service=order", 0.0);
}

#[tokio::test]
async fn what_is_open_is_in_flight() {
    let silent = Backend::new(|mut wire, _| async move {
        wire.read().await;
        std::future::pending::<()>().await;
    })
    .await;
    let world = World::serving(silent.address).await;
    let mut client = super::wire::Wire::connect(world.public).await;
    client.write("GET /orders HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let busy = read(&world, "msctl_in_flight service=order", 1.0).await;
    busy.is("msctl_connections", 1.0);
    drop(client);
    let idle = read(&world, "msctl_in_flight service=order", 0.0).await;
    idle.is("msctl_requests_total service=order route=/orders method=GET code=499 response_flag=DC", 1.0);
    assert_eq!(world.upstreams.in_flight(&instance("order", 1)), 0);
}

#[tokio::test]
async fn a_stale_connection_counts_as_a_retry() {
    let backend = Backend::new(|mut wire, _| async move {
        wire.read().await;
        wire.write(super::backend::ok("a")).await;
        wire.read().await;
    })
    .await;
    let world = World::serving(backend.address).await;
    world.get("/orders", "").await;
    world.get("/orders", "").await;
    read(&world, "msctl_retries_total service=order reason=stale outcome=answered", 1.0).await;
}

#[tokio::test]
async fn what_is_no_request_is_counted_and_noted() {
    let world = World::new().await;
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(70_000));
    for (sent, status, flag, code) in [
        ("GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400, "DPE", "request_malformed"),
        (long.as_str(), 414, "TL", "uri_too_long"),
    ] {
        let answer = world.send(sent).await;
        assert_eq!(answer.status(), status);
        let line = world.log.with("id", answer.header("x-request-id").unwrap()).await;
        assert_eq!(line["status"], status, "{line}");
        assert_eq!((&line["flag"], &line["code"]), (&flag.into(), &code.into()), "{line}");
        assert_eq!((&line["door"], &line["client"]), (&"public".into(), &"127.0.0.1".into()), "{line}");
        read(&world, &format!("msctl_requests_total method=other code={status} response_flag={flag}"), 1.0)
            .await;
    }
}

#[tokio::test]
async fn tokens_are_counted_by_what_came_of_them() {
    let backend = Backend::named("a").await;
    let world = World::serving(backend.address).await;
    for (token, times) in [("ann", 3), ("bad", 2)] {
        for _ in 0..times {
            world.get("/private", &format!("Authorization: Bearer {token}\r\n")).await;
        }
    }
    let read = read(&world, "msctl_tokens_total result=accepted", 3.0).await;
    read.is("msctl_tokens_total result=rejected", 2.0);
    read.is("msctl_token_cache_total result=hit", 2.0);
    read.is("msctl_token_cache_total result=miss", 3.0);
}

#[tokio::test]
async fn the_end_of_a_certificate_is_shown_for_as_long_as_it_is_presented() {
    let world = World::new().await;
    let (listener, ends) = ("127.0.0.1:8443".parse().unwrap(), UNIX_EPOCH + Duration::from_secs(4_000));
    world.gateway.metrics().certificate(listener, Some(ends));
    let sample = "msctl_certificate_expiry_timestamp_seconds listener=127.0.0.1:8443";
    Exposition::parse(&render(&world.gateway.sight())).is(sample, 4_000.0);
    world.gateway.metrics().certificate(listener, None);
    assert!(!render(&world.gateway.sight()).contains("8443"));
}

#[tokio::test]
async fn no_name_comes_from_a_request() {
    let world = World::new().await;
    for number in 0..300 {
        world.send(&format!("M{number} /nowhere{number} HTTP/1.1\r\nHost: h{number}\r\n\r\n")).await;
    }
    read(&world, "msctl_requests_total method=other code=405 response_flag=NR", 300.0).await;
    let text = render(&world.gateway.sight());
    assert!(!text.contains("nowhere") && !text.contains("M299") && !text.contains("h299"), "{text}");
}
