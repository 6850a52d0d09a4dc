//! Which way a request would take, and why: for people who wonder.
//!
//! Decides nothing itself. Every answer comes from what decides about real requests, which lets a
//! witness look on; so what is told here cannot drift away from what is done.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::HOST;
use http::{Method, Request};

use super::client_io::Framing;
use super::destination::{self, Asked};
use super::door;
use super::flag::Flag;
use super::limits::Limits;
use super::message;
use super::path;
use super::policy::canary::{self, Subset};
use super::problem::Problem;
use super::routes::{Rule, Witness};
use super::table::{Host, RouteTable, Service};
use crate::model::explanation::{Answer, Candidate, Destination, Explanation, Question, SCHEMA};
use crate::model::route::{Methods, RoutePrefix};
use crate::model::traffic::{Balance, RateLimit, RequestKey, RoutePolicy};

/// A host that no service has for its own.
const ANY_HOST: &str = "localhost";

/// `own` are the prefixes under which the platform itself answers at the public door.
///
/// # Errors
/// When the question is no request, with the reason.
pub fn explain(table: &RouteTable, own: &[RoutePrefix], question: &Question) -> Result<Explanation, String> {
    let request = request(question)?;
    let told = |path: &str, host: String, seen: Seen, answer: Answer| Explanation {
        schema: SCHEMA.to_owned(),
        method: request.method().to_string(),
        path: path.to_owned(),
        host,
        candidates: seen.candidates(request.method(), &answer),
        answer,
    };
    let checked = message::check(&request, Framing::Clear, &Limits::default());
    let authority = match checked.and_then(|()| message::authority(&request)) {
        Ok(authority) => authority,
        Err(problem) => {
            return Ok(told(request.uri().path(), String::new(), Seen::default(), refused(&problem)));
        }
    };
    let host = authority.host();
    let described = describe_host(table, &host);
    let path = match path::normalise(request.uri().path()) {
        Ok(path) => path,
        Err(fault) => {
            let answer = refused(&fault.into());
            return Ok(told(request.uri().path(), described, Seen::default(), answer));
        }
    };
    if let Some(prefix) = own.iter().find(|prefix| door::covers(prefix, &path)) {
        let answer = Answer::Platform { prefix: prefix.to_string() };
        return Ok(told(&path, described, Seen::default(), answer));
    }
    let mut seen = Seen::default();
    let asked = Asked { host: &host, path: &path, method: request.method(), caller: None };
    let answer = match destination::rule(asked, table, &mut seen) {
        Ok(rule) => {
            seen.winner = Some(Arc::clone(rule));
            answer(rule, table.service(&rule.service), &path, &request)
        }
        Err(problem) => refused(&problem),
    };
    Ok(told(&path, described, seen, answer))
}

fn request(question: &Question) -> Result<Request<()>, String> {
    let mut request = Request::builder().method(question.method.as_str()).uri(&question.path);
    for (name, value) in &question.headers {
        request = request.header(name, value);
    }
    let has_host = question.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(HOST.as_str()));
    if let Some(host) = question.host.as_deref().or((!has_host).then_some(ANY_HOST)) {
        request = request.header(HOST, host);
    }
    let request = request.body(()).map_err(|error| error.to_string())?;
    if !question.path.starts_with('/') {
        return Err("the path has to start with \"/\"".to_owned());
    }
    Ok(request)
}

fn refused(problem: &Problem) -> Answer {
    Answer::Refused {
        status: problem.status().as_u16(),
        code: problem.code().to_owned(),
        flag: Flag::of(problem).as_str().to_owned(),
        detail: problem.to_string(),
    }
}

fn describe_host(table: &RouteTable, host: &str) -> String {
    match table.public_site(host) {
        Host::Service(service) => format!("{host} is {}'s own name: only its routes count", service.name),
        Host::Unknown => format!("{host} is a name under this platform's domain that no service has"),
        Host::Platform if table.names(host) => {
            format!("{host} is named by routes: those come first, then the ones for any host")
        }
        Host::Platform => format!("{host} is nobody's own name: the path decides"),
    }
}

fn answer(rule: &Rule, service: Option<&Arc<Service>>, path: &str, request: &Request<()>) -> Answer {
    if let Some(redirect) = &rule.policy.redirect {
        return Answer::Redirect { status: redirect.status, to: redirect.to.clone() };
    }
    let Some(service) = service else { return refused(&Problem::NoRoute) };
    let (candidates, canary) = candidates(service, request);
    Answer::Service(Box::new(Destination {
        service: service.name.to_string(),
        route: rule.prefix.to_string(),
        access: rule.access.to_string(),
        forwarded: rule.forwarded.of(path).0.to_owned(),
        policy: policy(&rule.policy),
        balance: format!("{}{canary}", balance(&service.traffic.balance)),
        waiting: candidates.is_empty().then(|| service.waiting().to_owned()),
        instances: candidates,
    }))
}

/// The instances that it may be, and what is to be said of how they were narrowed down.
fn candidates(service: &Service, request: &Request<()>) -> (Vec<String>, String) {
    let now = Instant::now();
    let named = |subset| -> Vec<String> {
        let all = service.among(subset, now).iter().map(|upstream| {
            let ejected = upstream.outlier().is_ejected(now);
            format!("{}{}", upstream.instance(), if ejected { " (left out: it failed)" } else { "" })
        });
        all.collect()
    };
    let Some(policy) = &service.traffic.canary else { return (named(None), String::new()) };
    // The lowest and the highest draw: where both choose the same, chance has no say.
    let choices = [0, 99].map(|draw| canary::choose(policy, request.headers(), draw));
    match choices {
        [Subset::Newest, Subset::Newest] => {
            (named(Some(Subset::Newest)), ", of the newest generation".to_owned())
        }
        [Subset::Older, Subset::Older] => {
            (named(Some(Subset::Older)), ", of the older generations".to_owned())
        }
        _ => (named(None), format!(", {} % of the time of the newest generation", policy.weight)),
    }
}

fn balance(balance: &Balance) -> String {
    match balance {
        Balance::LeastRequest => "the less busy of two at random".to_owned(),
        Balance::RoundRobin => "one after the other".to_owned(),
        Balance::Consistent(key) => format!("always the same for the same {}", describe_key(key)),
    }
}

fn describe_key(key: &RequestKey) -> String {
    match key {
        RequestKey::Client => "client address".to_owned(),
        RequestKey::Subject => "subject".to_owned(),
        RequestKey::Header(name) => format!("header {name}"),
        RequestKey::Cookie(name) => format!("cookie {name}"),
        RequestKey::Everyone => "service".to_owned(),
    }
}

fn policy(policy: &RoutePolicy) -> Vec<(String, String)> {
    let time = |duration: Duration| humantime::format_duration(duration).to_string();
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let times = &policy.timeouts;
    let mut told = vec![
        ("max_body", policy.max_body.to_string()),
        ("timeout.response", time(times.response)),
        ("timeout.total", time(times.total)),
        ("timeout.idle", time(times.idle)),
        ("retries", policy.retries.attempts.to_string()),
    ];
    if let Some(limit) = &policy.rate_limit {
        told.push(("rate_limit", rate(limit)));
    }
    told.extend([
        ("cors", yes(policy.cors.is_some())),
        ("compress", yes(policy.compress)),
        ("forward_authorization", yes(policy.forward_authorization)),
    ]);
    told.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
}

fn rate(limit: &RateLimit) -> String {
    let period = humantime::format_duration(limit.period);
    let RateLimit { requests, burst, key, .. } = limit;
    format!("{requests} in {period}, {burst} at once, by {}", describe_key(key))
}

/// What a witness saw.
#[derive(Default)]
struct Seen {
    passed: Vec<Passed>,
    winner: Option<Arc<Rule>>,
}

struct Passed {
    rule: Arc<Rule>,
    covers: bool,
}

impl Witness for Seen {
    fn passes(&mut self, rules: &[Arc<Rule>], covers: bool) {
        for rule in rules {
            match self.passed.iter_mut().find(|passed| Arc::ptr_eq(&passed.rule, rule)) {
                Some(again) => again.covers |= covers,
                None => self.passed.push(Passed { rule: Arc::clone(rule), covers }),
            }
        }
    }
}

impl Seen {
    fn candidates(mut self, method: &Method, answer: &Answer) -> Vec<Candidate> {
        let length = |passed: &Passed| passed.rule.prefix.segments().count();
        self.passed.sort_by_key(|passed| std::cmp::Reverse(length(passed)));
        let longest =
            self.passed.iter().find(|passed| passed.covers).map(|passed| passed.rule.prefix.clone());
        let is_ambiguous =
            matches!(answer, Answer::Refused { code, .. } if *code == Problem::PathAmbiguous.code());
        let told = self.passed.iter().map(|passed| {
            let wins = self.winner.as_ref().is_some_and(|winner| Arc::ptr_eq(winner, &passed.rule));
            let because = match &longest {
                _ if wins => "it has the longest prefix that covers the path".to_owned(),
                _ if !passed.covers => "it is for exactly its own path, and this one goes on".to_owned(),
                _ if is_ambiguous => {
                    "the path can be read as one of this rule and as one of another".to_owned()
                }
                Some(longest) if *longest != passed.rule.prefix => {
                    format!("{longest} is longer, and decides alone")
                }
                _ if passed.rule.takes(method) => "another rule of this prefix names the method".to_owned(),
                _ => format!("it does not take {method}"),
            };
            candidate(&passed.rule, wins, because)
        });
        told.collect()
    }
}

fn candidate(rule: &Rule, wins: bool, because: String) -> Candidate {
    let none = BTreeSet::new();
    let methods = match &rule.methods {
        Methods::All => &none,
        Methods::Only(methods) => methods,
    };
    Candidate {
        route: rule.prefix.to_string(),
        methods: methods.iter().cloned().collect(),
        service: rule.service.to_string(),
        wins,
        because,
    }
}

#[cfg(test)]
mod tests {
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
        let domain = Domain { public: "store.localhost".to_owned(), internal: "store.internal".to_owned() };
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
        assert!(
            explanation.candidates.iter().all(|one| one.because.contains("can be read")),
            "{explanation:?}"
        );
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
}
