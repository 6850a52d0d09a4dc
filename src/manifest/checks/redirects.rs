//! No redirect leads to itself.

use std::collections::BTreeSet;

use crate::manifest::problems::Problems;
use crate::manifest::source::Located;
use crate::model::route::{Route, RoutePrefix};

pub fn check<'a>(all: impl Iterator<Item = &'a Located<Route>> + Clone, problems: &Problems) {
    let routes: Vec<&Route> = all.clone().map(|route| &route.value).collect();
    for Located { value: route, place } in all {
        let Some(redirect) = &route.policy.redirect else { continue };
        if path_of(&redirect.to).is_some_and(|path| takes(route, path, &routes)) {
            let message = format!("{} redirects to {}, which is itself again", route.prefix, redirect.to);
            problems.report(place, message, "redirect to a path that another route takes");
        }
    }
}

/// Without what is put in for `*`, the query and the fragment. `None` for another site.
fn path_of(to: &str) -> Option<&str> {
    let path = to.split(['?', '#']).next().filter(|path| path.starts_with('/'))?;
    Some(path.strip_suffix("/*").unwrap_or(path))
}

/// Whether the gateway would take `route` for `path`: no other has a longer prefix of it.
fn takes(route: &Route, path: &str, routes: &[&Route]) -> bool {
    let depth = |route: &Route| route.prefix.segments().count();
    let is_before = |other: &&&Route| meet(&route.hosts, &other.hosts) && depth(other) > depth(route);
    covers(&route.prefix, path) && !routes.iter().filter(is_before).any(|other| covers(&other.prefix, path))
}

fn meet(hosts: &BTreeSet<String>, others: &BTreeSet<String>) -> bool {
    if hosts.is_empty() { others.is_empty() } else { !hosts.is_disjoint(others) }
}

fn covers(prefix: &RoutePrefix, path: &str) -> bool {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    prefix.segments().all(|expected| segments.next() == Some(expected))
}
