//! What a valid platform becomes, and the settings of which a file holds only one.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::{ORDER, PLATFORM, Scratch};
use crate::manifest::load;
use crate::model::platform::{
    Budget, Build, Database, Health, Platform, ProcessRecipe, ServiceSpec, TlsSettings,
};
use crate::model::quantity::ByteSize;
use crate::model::route::{Access, Methods};
use crate::model::traffic::{
    Balance, BreakerPolicy, Canary, Cors, Origins, OutlierPolicy, RateLimit, Redirect, RequestKey,
    RetryPolicy, RoutePolicy, Timeouts, TrafficPolicy, UpstreamProtocol,
};

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
    assert_eq!(platform.budget, Budget { generations: 5, bytes: Some("5GB".parse::<ByteSize>().unwrap()) });
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
            "All /shop authenticated false",
            "All /old authenticated false",
        ]
    );
}

#[test]
fn whom_the_gateway_believes_arrives_as_networks() {
    let trusted = fixture().gateway.trusted_proxies;
    assert_eq!(trusted, ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
}

#[test]
fn what_a_route_asks_for_arrives_in_its_policy() {
    let platform = fixture();
    let routes = &service(&platform, "order").routes;
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    assert_eq!(routes[3].hosts, names(&["shop.example", "www.shop.example"]));
    assert_eq!(
        routes[3].policy,
        RoutePolicy {
            max_body: "64KiB".parse().unwrap(),
            timeouts: Timeouts {
                response: Duration::from_secs(2),
                total: Duration::from_secs(5),
                idle: Duration::from_secs(60),
                tunnel_idle: Duration::from_secs(60),
            },
            retries: RetryPolicy { attempts: 2, budget: 0.1, min_concurrent: 1, on_status: true },
            rate_limit: Some(RateLimit {
                requests: 100,
                period: Duration::from_secs(60),
                burst: 20,
                key: RequestKey::Header("x-api-key".to_owned()),
            }),
            cors: Some(Cors {
                origins: Origins::Only(names(&["https://shop.example", "http://localhost:3000"])),
                headers: names(&["x-api-key"]),
                expose: names(&["x-total"]),
                credentials: true,
                max_age: Duration::from_secs(3600),
            }),
            compress: false,
            redirect: None,
            forward_authorization: false,
        }
    );
    assert_eq!(routes[4].policy.redirect, Some(Redirect { to: "/shop/*".to_owned(), status: 308 }));
}

#[test]
fn how_instances_are_treated_arrives_in_the_model() {
    let platform = fixture();
    assert_eq!(
        service(&platform, "order").traffic,
        TrafficPolicy {
            protocol: UpstreamProtocol::Http2,
            balance: Balance::Consistent(RequestKey::Cookie("session".to_owned())),
            slow_start: Duration::ZERO,
            max_in_flight: 64,
            breaker: BreakerPolicy {
                consecutive_failures: 3,
                success_rate: 0.9,
                minimum: 10,
                window: Duration::from_secs(5),
                pause: Duration::from_secs(2),
                max_pause: Duration::from_secs(60),
            },
            outlier: OutlierPolicy {
                consecutive_failures: 0,
                ejection: Duration::from_secs(10),
                max_ejection: Duration::from_secs(60),
                max_share: 0.25,
                panic_below: 0.0,
            },
            canary: Some(Canary {
                weight: 10,
                header: Some(("x-canary".to_owned(), "yes please".to_owned())),
                cookie: Some(("canary".to_owned(), "1".to_owned())),
            }),
        }
    );
    assert_eq!(service(&platform, "mail").traffic, TrafficPolicy::default());
}

#[test]
fn short_spellings_stand_for_the_rest_at_its_default() {
    let route = "[[routes]]\npath = \"/a\"\nretries = 0\nredirect = \"/b\"\ntimeout.total = \"5s\"\n\
        rate_limit.requests = 7\ncors.origins = \"*\"\n[traffic]\nbreaker.pause = \"1m\"\nbalance = \"round_robin\"\n";
    let platform = Scratch::with_service(format!("{ORDER}{route}").as_bytes()).load().unwrap();
    let order = service(&platform, "order");
    let policy = &order.routes[0].policy;
    assert_eq!(policy.retries, RetryPolicy { attempts: 0, ..RetryPolicy::default() });
    assert_eq!(policy.redirect, Some(Redirect { to: "/b".to_owned(), status: 307 }));
    assert_eq!((policy.timeouts.response, policy.timeouts.total), (secs(5), secs(5)));
    let limit = RateLimit { requests: 7, period: secs(1), burst: 7, key: RequestKey::Client };
    assert_eq!(policy.rate_limit.as_ref(), Some(&limit));
    let cors = policy.cors.as_ref().unwrap();
    assert_eq!((&cors.origins, cors.credentials, cors.max_age), (&Origins::Any, false, secs(600)));
    assert_eq!((order.traffic.breaker.pause, order.traffic.breaker.max_pause), (secs(60), secs(60)));
    assert_eq!(order.traffic.balance, Balance::RoundRobin);
}

#[test]
fn a_pause_that_is_said_holds_for_tunnels_even_if_it_is_the_default() {
    let pauses = |timeout: &str| {
        let route = format!("{ORDER}[[routes]]\npath = \"/a\"\n{timeout}\n");
        let platform = Scratch::with_service(route.as_bytes()).load().unwrap();
        let timeouts = service(&platform, "order").routes[0].policy.timeouts;
        (timeouts.idle, timeouts.tunnel_idle)
    };
    assert_eq!(pauses("timeout.total = \"5s\""), (secs(300), secs(3600)));
    assert_eq!(pauses("timeout.idle = \"5m\""), (secs(300), secs(300)));
    assert_eq!(pauses("timeout.idle = \"2h\""), (secs(7200), secs(7200)));
}

#[test]
fn the_manifests_that_the_readme_shows_are_valid() {
    let readme = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
    let block = |title: &str| {
        let start = readme.find(&format!("```toml\n# {title}\n")).unwrap() + "```toml\n".len();
        &readme[start..start + readme[start..].find("```").unwrap()]
    };
    let order =
        block("services/order/service.toml").to_owned() + block("services/order/service.toml, more of it");
    let platform = Scratch::new(&[
        ("msctl.toml", block("msctl.toml").as_bytes()),
        ("services/order/service.toml", order.as_bytes()),
        ("services/order/dev.env", b""),
        ("services/product/service.toml", ORDER.replace("order", "product").as_bytes()),
    ]);
    let traffic = &service(&platform.load().unwrap(), "order").traffic.clone();
    assert_eq!(traffic, &TrafficPolicy { canary: traffic.canary.clone(), ..TrafficPolicy::default() });
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
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
    assert_eq!(platform.gateway.trusted_proxies, []);
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
    assert_eq!(order.traffic, TrafficPolicy::default());
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

/// What `[gateway]` with these lines becomes, or what is said of it.
fn gateway(lines: &str) -> Result<(TlsSettings, Option<String>), String> {
    let text = format!("{PLATFORM}[gateway]\nlisten = \"127.0.0.1:8443\"\n{lines}\n");
    let loaded = Scratch::new(&[("msctl.toml", text.as_bytes())]).load();
    let gateway = loaded.map_err(|error| error.to_string())?.gateway;
    Ok((gateway.tls, gateway.redirect_from.map(|address| address.to_string())))
}

#[test]
fn tls_is_off_local_or_by_files_below_the_platform() {
    assert_eq!(gateway(""), Ok((TlsSettings::Off, None)));
    assert_eq!(gateway("tls = \"off\""), Ok((TlsSettings::Off, None)));
    let redirected = gateway("tls = \"local\"\nredirect_from = \"127.0.0.1:8081\"");
    assert_eq!(redirected, Ok((TlsSettings::Local, Some("127.0.0.1:8081".to_owned()))));
    let (tls, _) = gateway("tls = { certificate = \"tls/c.pem\", key = \"/etc/k.pem\" }").unwrap();
    let TlsSettings::Files { certificate, key } = tls else { panic!("{tls:?}") };
    assert!(certificate.is_absolute() && certificate.ends_with("tls/c.pem"), "{}", certificate.display());
    assert_eq!(key, PathBuf::from("/etc/k.pem"));
}

#[test]
fn browsers_are_held_to_tls_where_that_is_wanted() {
    let hsts = |lines: &str| {
        let text = format!("{PLATFORM}[gateway]\n{lines}\n");
        Scratch::new(&[("msctl.toml", text.as_bytes())]).load().map(|platform| platform.gateway.hsts)
    };
    for (lines, expected) in [
        ("tls = \"local\"", None),
        ("tls = \"local\"\nhsts = false", None),
        ("hsts = false", None),
        ("tls = \"local\"\nhsts = true", Some(secs(365 * 24 * 3600))),
        ("tls = \"local\"\nhsts = \"30d\"", Some(secs(30 * 24 * 3600))),
        ("tls = \"local\"\nhsts = \"0s\"", Some(Duration::ZERO)),
    ] {
        assert_eq!(hsts(lines).unwrap(), expected, "{lines}");
    }
    for (lines, expected) in [
        ("hsts = true", "hsts in [gateway] is about TLS, and there is none"),
        ("tls = \"off\"\nhsts = \"30d\"", "hsts in [gateway] is about TLS, and there is none"),
        (
            "tls = \"local\"\nhsts = 30",
            "hsts in [gateway] must be true, false or a duration, not a whole number",
        ),
        ("tls = \"local\"\nhsts = \"11y\"", "but must be at most"),
    ] {
        let said = hsts(lines).unwrap_err().to_string();
        assert!(said.contains(expected) && said.contains("hint: "), "{said}");
    }
}

#[test]
fn what_is_no_way_to_have_tls_is_refused() {
    for (lines, expected) in [
        ("tls = \"auto\"", "tls in [gateway] is \"auto\", which is no way to have a certificate"),
        ("tls = true", "tls in [gateway] must be a text or a table, not true or false"),
        ("redirect_from = \"127.0.0.1:8081\"", "redirect_from in [gateway] leads to TLS, and there is none"),
        ("tls = \"off\"\nredirect_from = \"127.0.0.1:8081\"", "leads to TLS, and there is none"),
        ("tls = \"local\"\nredirect_from = \"8081\"", "invalid socket address"),
        ("tls = { certificate = \"\", key = \"k\" }", "certificate in [gateway.tls] is empty"),
    ] {
        let said = gateway(lines).unwrap_err();
        assert!(said.contains(expected) && said.contains("hint: "), "{said}");
    }
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
