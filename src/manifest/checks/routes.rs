//! Every route can be reached: no request fits two, and none fits a path or host of the platform
//! itself.
//!
//! The gateway takes the longest prefix, so a longer one never hides behind a shorter one. Only the
//! same prefix for the same host and method would leave one of two without requests. A route for GET
//! is one for HEAD too (RFC 9110, section 9.3.2); one that names its hosts comes before one that
//! stands for all.

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::problems::Problems;
use crate::manifest::service_file::Draft;
use crate::manifest::source::{Located, Place};
use crate::model::name::{PlatformName, ServiceName};
use crate::model::route::{Methods, Route, RoutePrefix};

/// First segments that the gateway answers itself.
const RESERVED_SEGMENTS: [&str; 2] = ["auth", ".well-known"];

#[derive(Clone, Copy)]
struct Claim<'a> {
    service: &'a ServiceName,
    route: &'a Route,
    place: &'a Place,
}

/// Where routes can collide: a host, or any, and a prefix.
type Spot<'a> = (Option<&'a str>, &'a RoutePrefix);

pub fn check(drafts: &[Draft], problems: &Problems) {
    let services: BTreeSet<&str> = drafts.iter().map(|draft| draft.name.value.as_str()).collect();
    let routes =
        || drafts.iter().flat_map(|draft| draft.routes.iter().map(|route| (&draft.name.value, route)));
    for (service, route) in routes() {
        let claim = Claim { service, route: &route.value, place: &route.place };
        check_reserved(&claim, &services, problems);
    }
    check_collisions(routes(), problems);
}

/// Of all routes there are, no two take the same request.
pub fn check_collisions<'a>(
    routes: impl Iterator<Item = (&'a ServiceName, &'a Located<Route>)>,
    problems: &Problems,
) {
    let mut taken: BTreeMap<Spot<'_>, Vec<Claim<'_>>> = BTreeMap::new();
    for (service, route) in routes {
        let claim = Claim { service, route: &route.value, place: &route.place };
        take(&mut taken, &claim, problems);
    }
}

/// At its first collision a claim ends, so two routes are named together once.
fn take<'a>(taken: &mut BTreeMap<Spot<'a>, Vec<Claim<'a>>>, claim: &Claim<'a>, problems: &Problems) {
    for spot in spots(claim.route) {
        // Only claims that do not overlap are kept: no more of them than there are methods.
        let claims = taken.entry(spot).or_default();
        if let Some(other) = claims.iter().find(|other| overlap(&claim.route.methods, &other.route.methods)) {
            return report_collision(spot, claim, other, problems);
        }
        claims.push(*claim);
    }
}

fn spots(route: &Route) -> Vec<Spot<'_>> {
    if route.hosts.is_empty() {
        return vec![(None, &route.prefix)];
    }
    route.hosts.iter().map(|host| (Some(host.as_str()), &route.prefix)).collect()
}

/// Names below the platform's own domain stand for its services (`order.store.localhost`).
pub fn check_hosts(platform: &PlatformName, drafts: &[Draft], problems: &Problems) {
    let domain = format!(".{platform}.localhost");
    for route in drafts.iter().flat_map(|draft| &draft.routes) {
        for host in route.value.hosts.iter().filter(|host| host.ends_with(&domain)) {
            let message = format!("{host:?} belongs to the platform itself: it stands for a service");
            problems.report(&route.place, message, "leave it out of hosts, or name a host of your own");
        }
    }
}

fn check_reserved(claim: &Claim<'_>, services: &BTreeSet<&str>, problems: &Problems) {
    let prefix = &claim.route.prefix;
    let mut segments = prefix.segments();
    let (Some(first), second) = (segments.next(), segments.next()) else { return };
    if RESERVED_SEGMENTS.contains(&first) {
        problems.report(
            claim.place,
            format!("{prefix} belongs to the platform itself"),
            "choose a path outside of /auth and /.well-known",
        );
    }
    if second == Some("health") && services.contains(first) && first != claim.service.as_str() {
        problems.report(
            claim.place,
            format!("{prefix} of \"{}\" is where the health of \"{first}\" is shown", claim.service),
            format!("choose a path outside of /{first}/health"),
        );
    }
}

fn overlap(one: &Methods, other: &Methods) -> bool {
    match (one, other) {
        (Methods::All, _) | (_, Methods::All) => true,
        (Methods::Only(one), Methods::Only(other)) => {
            one.iter().any(|method| takes(other, method)) || other.iter().any(|method| takes(one, method))
        }
    }
}

fn takes(methods: &BTreeSet<String>, method: &str) -> bool {
    methods.contains(method) || (method == "HEAD" && methods.contains("GET"))
}

fn report_collision((host, prefix): Spot<'_>, claim: &Claim<'_>, other: &Claim<'_>, problems: &Problems) {
    let prefix = format!("{}{prefix}", host.unwrap_or_default());
    let message = if claim.service == other.service {
        format!("\"{}\" has two routes for {prefix}", claim.service)
    } else {
        format!("\"{}\" has a route for {prefix}, and so has \"{}\"", claim.service, other.service)
    };
    let note = format!(
        "this one is for {}; the one at {} is for {}",
        show(&claim.route.methods),
        other.place,
        show(&other.route.methods)
    );
    let hint = "change a path, or give both a list of methods that have none in common (GET includes HEAD)";
    problems.report_with_notes(claim.place, message, vec![note], hint);
}

fn show(methods: &Methods) -> String {
    match methods {
        Methods::All => "all methods".to_owned(),
        Methods::Only(names) => names.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
    }
}
