//! What a valid platform becomes, and the settings of which a file holds only one.

use std::path::PathBuf;
use std::time::Duration;

use super::{ORDER, PLATFORM, Scratch};
use crate::manifest::load;
use crate::model::platform::{Build, Database, Health, Platform, ProcessRecipe, ServiceSpec};
use crate::model::quantity::ByteSize;
use crate::model::route::{Access, Methods};

fn fixture() -> Platform {
    load(&root().join("msctl.toml")).unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/manifest").join("valid")
}

fn service<'a>(platform: &'a Platform, name: &str) -> &'a ServiceSpec {
    &platform.services[&name.parse().unwrap()]
}

#[test]
fn every_setting_of_a_platform_arrives_in_the_model() {
    let platform = fixture();
    assert_eq!(platform.id.name.as_str(), "store");
    assert_eq!(platform.root, root().canonicalize().unwrap());
    assert_eq!(platform.gateway.listen.to_string(), "0.0.0.0:9090");
    assert_eq!(platform.auth.access_token_ttl, Duration::from_secs(3600));
    assert_eq!(platform.auth.issuer.as_deref(), Some("https://idp.example.com"));
    assert_eq!(platform.configuration["LOG_LEVEL"], "info");
    assert_eq!(platform.image_aliases["python:3.13-slim"], "registry.local:5000/python:3.13-slim");
    let names: Vec<String> = platform.services.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["mail", "order", "product"]);
}

#[test]
fn every_setting_of_a_service_arrives_in_the_model() {
    let platform = fixture();
    let order = service(&platform, "order");
    assert_eq!(order.context.as_deref(), Some("ordering"));
    assert_eq!(order.folder, platform.root.join("services/order"));
    assert_eq!(
        order.build,
        Build::Pack {
            command: "cargo build --release --target $MSCTL_TARGET".to_owned(),
            artifact: "$MSCTL_CACHE/target/$MSCTL_TARGET/release/order".to_owned(),
        }
    );
    assert_eq!(
        order.process,
        Some(ProcessRecipe {
            build: Some("cargo build".to_owned()),
            command: "./target/debug/order".to_owned(),
        })
    );
    assert_eq!((order.run.port.number(), order.run.replicas), (7000, 3));
    assert_eq!(order.run.limits.memory, ByteSize::from_mebibytes(128));
    assert_eq!((order.run.limits.cpus.nanos(), order.run.limits.pids), (500_000_000, 64));
    assert_eq!(order.run.stop_grace, Duration::from_secs(5));
    assert_eq!(
        order.run.health,
        Health {
            path: "/ready?full=1".to_owned(),
            start_period: Duration::from_secs(90),
            timeout: Duration::from_millis(500),
        }
    );
    assert_eq!(order.calls, ["product".parse().unwrap()].into());
    assert_eq!(order.database, Database::Sqlite);
}

#[test]
fn routes_arrive_with_methods_access_and_prefix_rule() {
    let platform = fixture();
    let routes = &service(&platform, "order").routes;
    let shown: Vec<String> = routes
        .iter()
        .map(|route| format!("{:?} {} {} {}", route.methods, route.prefix, route.access, route.strip_prefix))
        .collect();
    assert_eq!(
        shown,
        [
            "Only({\"GET\"}) /orders public false",
            "Only({\"DELETE\", \"POST\"}) /orders scopes orders:write true",
            "All /order/health authenticated false",
        ]
    );
}

#[test]
fn numbers_and_flags_become_the_texts_that_a_service_sees() {
    let platform = fixture();
    let configuration = &service(&platform, "order").configuration;
    let shown: Vec<String> = configuration.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(shown, ["BASKET=16", "CURRENCY=USD", "RATE=0.50", "RETRIES=3", "STRICT=true"]);
}

#[test]
fn what_is_left_out_has_the_documented_default() {
    let platform = Scratch::with_service(ORDER.as_bytes()).load().unwrap();
    assert_eq!(platform.gateway.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(platform.auth.access_token_ttl, Duration::from_secs(900));
    assert_eq!(platform.auth.issuer, None);
    let order = service(&platform, "order");
    assert_eq!(order.build, Build::Dockerfile { file: "Dockerfile".into() });
    assert_eq!((order.run.port.number(), order.run.replicas), (8080, 1));
    assert_eq!(order.run.limits.memory.to_string(), "256MiB");
    assert_eq!((order.run.limits.cpus.to_string(), order.run.limits.pids), ("1".to_owned(), 256));
    assert_eq!(order.run.health.path, "/health/ready");
    assert_eq!(order.run.health.start_period, Duration::from_secs(30));
    assert_eq!(order.run.health.timeout, Duration::from_secs(1));
    assert_eq!(order.run.stop_grace, Duration::from_secs(10));
    assert_eq!((order.database, order.process.as_ref()), (Database::None, None));
    assert!(order.routes.is_empty() && order.calls.is_empty() && order.configuration.is_empty());
}

#[test]
fn a_route_that_does_not_say_is_for_all_methods_and_not_public() {
    let text = format!("{ORDER}[[routes]]\npath = \"/\"\n");
    let platform = Scratch::with_service(text.as_bytes()).load().unwrap();
    let route = &service(&platform, "order").routes[0];
    assert_eq!((&route.methods, &route.access), (&Methods::All, &Access::Authenticated));
    assert!(!route.strip_prefix);
}

#[test]
fn a_platform_without_services_is_one() {
    let platform = Scratch::new(&[("msctl.toml", PLATFORM.as_bytes())]).load().unwrap();
    assert!(platform.services.is_empty());
}

#[test]
fn each_checkout_is_a_worktree_of_its_own_that_stays_the_same() {
    let (one, other) = (Scratch::with_service(ORDER.as_bytes()), Scratch::with_service(ORDER.as_bytes()));
    assert_eq!(one.load().unwrap().id, one.load().unwrap().id);
    assert_ne!(one.load().unwrap().id, other.load().unwrap().id);
    assert_eq!(one.load().unwrap().id.worktree.as_str().len(), 6);
}

/// The first line and the hint of what is said about each of the values.
fn refusals(lines_before: &str, values: &[&str]) -> String {
    let refusal = |value: &&str| {
        let text = format!("{PLATFORM}{lines_before}{value}\n");
        let refusal = Scratch::new(&[("msctl.toml", text.as_bytes())]).refusal();
        let (first, last) = (refusal.lines().next().unwrap(), refusal.lines().last().unwrap());
        format!("{first}\n{last}")
    };
    values.iter().map(refusal).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_gateway_listens_on_an_ip_address_and_a_port() {
    let values = ["listen = \"8080\"", "listen = \":9090\"", "listen = \"localhost:9090\"", "listen = \"\""];
    insta::assert_snapshot!(refusals("[gateway]\n", &values), @r#"
    msctl.toml:4:10: "8080" is not an address to listen on
    hint: write IP:port, "127.0.0.1:8080" for this machine, "0.0.0.0:8080" for every network
    msctl.toml:4:10: ":9090" is not an address to listen on
    hint: write IP:port, "127.0.0.1:9090" for this machine, "0.0.0.0:9090" for every network
    msctl.toml:4:10: "localhost:9090" is not an address to listen on
    hint: write IP:port, "127.0.0.1:9090" for this machine, "0.0.0.0:9090" for every network
    msctl.toml:4:10: "" is not an address to listen on
    hint: write IP:port, "127.0.0.1:8080" for this machine, "0.0.0.0:8080" for every network
    "#);
}

#[test]
fn an_issuer_is_the_plain_url_of_a_provider() {
    let values = [
        "issuer = \"idp.example.com\"",
        "issuer = \"https://idp.example.com/\"",
        "issuer = \"https://idp.example.com?a=b\"",
        "issuer = \"https://me@idp.example.com\"",
        "issuer = \"https://a b\"",
        "issuer = \"ftp://idp.example.com\"",
    ];
    insta::assert_snapshot!(refusals("[auth]\n", &values), @r#"
    msctl.toml:4:10: issuer in [auth] is "idp.example.com": it must start with http:// or https://
    hint: for example issuer = "https://idp.example.com"
    msctl.toml:4:10: issuer in [auth] is "https://idp.example.com/": leave out the "/" at its end
    hint: for example issuer = "https://idp.example.com"
    msctl.toml:4:10: issuer in [auth] is "https://idp.example.com?a=b": it must not have a query or a fragment
    hint: for example issuer = "https://idp.example.com"
    msctl.toml:4:10: issuer in [auth] is "https://me@idp.example.com": it must not hold a user
    hint: for example issuer = "https://idp.example.com"
    msctl.toml:4:10: issuer in [auth] is "https://a b": it is not a URL
    hint: for example issuer = "https://idp.example.com"
    msctl.toml:4:10: issuer in [auth] is "ftp://idp.example.com": it must start with http:// or https://
    hint: for example issuer = "https://idp.example.com"
    "#);
}

#[test]
fn a_token_lives_from_10_seconds_to_a_day() {
    let values = ["access_token_ttl = \"9s\"", "access_token_ttl = \"25h\"", "access_token_ttl = \"\""];
    insta::assert_snapshot!(refusals("[auth]\n", &values), @r#"
    msctl.toml:4:20: access_token_ttl in [auth] is 9s, but must be at least 10s
    hint: for example access_token_ttl = "15m"
    msctl.toml:4:20: access_token_ttl in [auth] is 1day 1h, but must be at most 1day
    hint: for example access_token_ttl = "15m"
    msctl.toml:4:20: access_token_ttl in [auth] is not a duration: value was empty
    hint: for example access_token_ttl = "15m"
    "#);
}
