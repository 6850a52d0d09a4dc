use super::*;
use crate::gateway::site::{Domain, Site, SiteService};
use crate::gateway::upstream::Upstreams;
use crate::model::catalog::{Catalog, Endpoint, EndpointState};
use crate::model::instance::{Generation, InstanceName};
use crate::model::route::{Access, Route};
use crate::model::traffic::{Canary, TrafficPolicy};
use proptest::prelude::*;

/// Prefix, methods, hosts.
type Described<'d> = (&'d str, &'d [&'d str], &'d [&'d str]);

fn route(&(prefix, methods, hosts): &Described<'_>) -> Route {
    let words = |words: &[&str]| -> BTreeSet<String> { words.iter().map(ToString::to_string).collect() };
    Route {
        prefix: prefix.parse().unwrap(),
        methods: if methods.is_empty() { Methods::All } else { Methods::Only(words(methods)) },
        access: Access::Authenticated,
        strip_prefix: prefix == "/stripped",
        hosts: words(hosts),
        policy: RoutePolicy::default(),
    }
}

fn service(name: &str, routes: &[Described<'_>]) -> SiteService {
    SiteService {
        name: name.parse().unwrap(),
        manifest: "service.toml".to_owned(),
        routes: routes.iter().map(route).collect(),
        health: Vec::new(),
        calls: BTreeSet::new(),
        traffic: TrafficPolicy::default(),
    }
}

fn table(services: Vec<SiteService>, catalog: &Catalog) -> RouteTable {
    table_at("store.localhost", services, catalog)
}

fn table_at(public: &str, services: Vec<SiteService>, catalog: &Catalog) -> RouteTable {
    let domain = Domain {
        public: public.to_owned(),
        shared: "store.localhost".to_owned(),
        internal: "store.internal".to_owned(),
    };
    RouteTable::build(&Site { domain: Some(domain), services }, catalog, &Upstreams::default())
}

fn store() -> RouteTable {
    let order = service("order", &[("/", &[], &[]), ("/orders", &["GET"], &[]), ("/stripped", &[], &[])]);
    let admin = service("admin", &[("/orders/admin", &[], &[]), ("/orders", &[], &["admin.example"])]);
    table(vec![order, admin], &Catalog::default())
}

fn ask(table: &RouteTable, request: &str, host: Option<&str>) -> Explanation {
    let (method, path) = request.split_once(' ').unwrap();
    let question = Question {
        method: method.to_owned(),
        path: path.to_owned(),
        host: host.map(str::to_owned),
        headers: Vec::new(),
    };
    explain(table, &["/auth".parse().unwrap()], &question).unwrap()
}

fn check(request: &str, host: Option<&str>, expected: &str) {
    let explanation = ask(&store(), request, host);
    let mut lines = vec![explanation.host];
    for Candidate { route, service, wins, because, .. } in &explanation.candidates {
        lines.push(format!("{} {route} of {service}: {because}", if *wins { "+" } else { "-" }));
    }
    lines.push(match &explanation.answer {
        Answer::Refused { status, code, flag, .. } => format!("{status} {code} {flag}"),
        Answer::Platform { prefix } => format!("platform {prefix}"),
        Answer::Redirect { status, to } => format!("{status} {to}"),
        Answer::Service(to) => format!("{} sees {} ({})", to.service, to.forwarded, to.access),
    });
    assert_eq!(lines.join("\n"), expected, "{request}");
}

const ANY: &str = "localhost is nobody's own name: the path decides";

#[test]
fn the_longest_prefix_is_told_with_those_that_it_beats() {
    check(
        "GET /orders/admin/7",
        None,
        &format!(
            "{ANY}\n+ /orders/admin of admin: it has the longest prefix that covers the path\n\
             - /orders of order: /orders/admin is longer, and decides alone\n\
             - / of order: /orders/admin is longer, and decides alone\n\
             admin sees /orders/admin/7 (authenticated)"
        ),
    );
}

#[test]
fn a_method_that_the_longest_prefix_lacks_is_told() {
    check(
        "DELETE /orders/7",
        None,
        &format!(
            "{ANY}\n- /orders of order: it does not take DELETE\n\
             - / of order: /orders is longer, and decides alone\n405 method_not_allowed NR"
        ),
    );
}

#[test]
fn the_host_decides_first() {
    check(
        "GET /orders/7",
        Some("admin.example"),
        "admin.example is named by routes: those come first, then the ones for any host\n\
         + /orders of admin: it has the longest prefix that covers the path\n\
         admin sees /orders/7 (authenticated)",
    );
    check(
        "GET /stripped/7?x=1",
        Some("order.store.localhost:8080"),
        "order.store.localhost is order's own name: only its routes count\n\
         + /stripped of order: it has the longest prefix that covers the path\n\
         - / of order: /stripped is longer, and decides alone\norder sees /7 (authenticated)",
    );
    check(
        "GET /",
        Some("nobody.store.localhost"),
        "nobody.store.localhost is a name under this platform's domain that no service has\n404 host_not_found NR",
    );
}

#[test]
fn a_worktree_has_names_of_its_own_and_does_not_answer_to_those_of_others() {
    let table =
        table_at("wt.store.localhost", vec![service("order", &[("/", &[], &[])])], &Catalog::default());
    for (host, expected) in [
        ("order.wt.store.localhost", "order.wt.store.localhost is order's own name: only its routes count"),
        ("wt.store.localhost", "wt.store.localhost is nobody's own name: the path decides"),
        ("localhost", "localhost is nobody's own name: the path decides"),
        ("mystore.localhost", "mystore.localhost is nobody's own name: the path decides"),
    ] {
        assert_eq!(ask(&table, "GET /", Some(host)).host, expected);
    }
    for host in ["order.store.localhost", "order.other.store.localhost", "other.store.localhost"] {
        let refused = format!("{host} is a name under this platform's domain that no service has");
        assert_eq!(ask(&table, "GET /", Some(host)).host, refused);
    }
}

#[test]
fn what_is_refused_before_any_route_is_told() {
    check("GET /a%2fb", None, &format!("{ANY}\n400 path_invalid DPE"));
    check("TRACE /", None, "\n405 method_not_allowed DPE");
    check("GET /", Some("a b"), "\n400 host_invalid DPE");
    check("GET /auth/login", None, &format!("{ANY}\nplatform /auth"));
}

#[test]
fn a_path_in_two_readings_is_told() {
    let explanation = ask(&store(), "GET //orders", None);
    assert!(matches!(&explanation.answer, Answer::Refused { code, .. } if code == "path_ambiguous"));
    assert!(explanation.candidates.iter().all(|one| one.because.contains("can be read")), "{explanation:?}");
}

#[test]
fn what_is_no_request_is_an_error() {
    for path in ["", "orders", "http://a/orders", "/a b"] {
        let question =
            Question { method: "GET".to_owned(), path: path.to_owned(), host: None, headers: Vec::new() };
        assert!(explain(&store(), &[], &question).is_err(), "{path:?}");
    }
}

#[test]
fn the_instances_are_those_that_the_canary_leaves() {
    let canary = Canary { weight: 20, header: Some(("x-try".into(), "new".into())), cookie: None };
    let mut order = service("order", &[("/", &[], &[])]);
    order.traffic.canary = Some(canary);
    let endpoint = |generation: u32, port: u16| Endpoint {
        instance: InstanceName {
            service: "order".parse().unwrap(),
            generation: Generation::new(generation).unwrap(),
            replica: 1,
        },
        address: ([127, 0, 0, 1], port).into(),
        state: EndpointState::Ready,
    };
    let mut catalog = Catalog::default();
    catalog.services.insert("order".parse().unwrap(), vec![endpoint(1, 1), endpoint(2, 2)]);
    let table = table(vec![order], &catalog);
    let instances = |headers: &[(&str, &str)]| {
        let headers = headers.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let question = Question { method: "GET".into(), path: "/".into(), host: None, headers };
        match explain(&table, &[], &question).unwrap().answer {
            Answer::Service(to) => (to.instances.join(" "), to.balance),
            other => panic!("{other:?}"),
        }
    };
    let (all, balance) = instances(&[]);
    assert!(
        all.contains("order.v1.1") && all.contains("order.v2.1") && balance.contains("20 %"),
        "{all} {balance}"
    );
    assert_eq!(instances(&[("X-Try", "new")]).0, "order.v2.1");
}

proptest! {
    #[test]
    fn what_is_told_is_what_is_done(
        routes in proptest::collection::vec(("(/[ab]){0,3}", 0_usize..3, 0_usize..3), 1..8),
        path in "(/[ab;]{0,2}){1,4}", method in 0_usize..2, host in 0_usize..3,
    ) {
        let (methods, hosts) = ([&[][..], &["GET"], &["POST"]], [&[][..], &["one.example"], &["two.example"]]);
        let routes: Vec<_> = routes.into_iter().map(|(prefix, m, h)| {
            (if prefix.is_empty() { "/".to_owned() } else { prefix }, methods[m], hosts[h])
        }).collect();
        let described: Vec<Described<'_>> = routes.iter().map(|(p, m, h)| (p.as_str(), *m, *h)).collect();
        let table = table(vec![service("order", &described)], &Catalog::default());
        let host = ["one.example", "order.store.localhost", "other"][host];
        let method = ["GET", "POST"][method];
        let explanation = ask(&table, &format!("{method} {path}"), Some(host));
        let parsed = method.parse().unwrap();
        let asked = Asked { host, path: &path, method: &parsed, caller: None };
        let winners: Vec<_> = explanation.candidates.iter().filter(|one| one.wins).collect();
        match destination::rule(asked, &table, &mut ()) {
            Ok(rule) => {
                prop_assert_eq!(winners.len(), 1);
                prop_assert_eq!(&winners[0].route, rule.prefix.as_str());
                let is_service = matches!(&explanation.answer, Answer::Service(to) if to.route == rule.prefix.as_str());
                prop_assert!(is_service);
            }
            Err(problem) => {
                prop_assert!(winners.is_empty());
                let is_same = matches!(&explanation.answer, Answer::Refused { code, .. } if *code == problem.code());
                prop_assert!(is_same, "{:?} {:?}", explanation, problem);
            }
        }
    }
}
