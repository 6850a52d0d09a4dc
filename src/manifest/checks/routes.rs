//! Every route can be reached: no request fits two, and none fits a path of the platform itself.
//!
//! The gateway takes the longest prefix, so a longer one never hides behind a shorter one. Only the
//! same prefix for the same method would leave one of two without requests. A route for GET is one
//! for HEAD too (RFC 9110, section 9.3.2).

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::problems::Problems;
use crate::manifest::service_file::Draft;
use crate::manifest::source::Place;
use crate::model::name::ServiceName;
use crate::model::route::{Methods, Route, RoutePrefix};

/// First segments that the gateway answers itself.
const RESERVED_SEGMENTS: [&str; 2] = ["auth", ".well-known"];

struct Claim<'a> {
    service: &'a ServiceName,
    route: &'a Route,
    place: &'a Place,
}

pub fn check(drafts: &[Draft], problems: &Problems) {
    let services: BTreeSet<&str> = drafts.iter().map(|draft| draft.name.value.as_str()).collect();
    let mut taken: BTreeMap<&RoutePrefix, Vec<Claim<'_>>> = BTreeMap::new();
    for draft in drafts {
        for route in &draft.routes {
            let claim = Claim { service: &draft.name.value, route: &route.value, place: &route.place };
            check_reserved(&claim, &services, problems);
            // Only claims that do not overlap are kept: no more of them than there are methods.
            let claims = taken.entry(&claim.route.prefix).or_default();
            match claims.iter().find(|other| overlap(&claim.route.methods, &other.route.methods)) {
                Some(other) => report_collision(&claim, other, problems),
                None => claims.push(claim),
            }
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

fn report_collision(claim: &Claim<'_>, other: &Claim<'_>, problems: &Problems) {
    let prefix = &claim.route.prefix;
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
