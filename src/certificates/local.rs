//! The names that a gateway answers to on this machine.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::model::platform::Platform;
use crate::model::route::Route;

/// What the local authority may sign of a platform's names. Browsers accept no wildcard directly below
/// `localhost`, so each platform has one of its own, and so
/// has each of its checkouts, because a wildcard stands for one label.
#[must_use]
pub fn names(platform: &Platform) -> Vec<String> {
    let own = platform.public_domain();
    let routes = platform.services.values().flat_map(|service| &service.routes);
    let others = names_of(routes, [platform.gateway.listen.ip()]);
    without_repetition(others.into_iter().chain([own.clone(), format!("*.{own}")]))
}

/// Those of some routes and listeners: names at or below `localhost`, and loopback addresses.
#[must_use]
pub fn names_of<'r>(
    routes: impl IntoIterator<Item = &'r Route>,
    listening: impl IntoIterator<Item = IpAddr>,
) -> Vec<String> {
    let hosts = routes.into_iter().flat_map(|route| &route.hosts).filter(|host| host.ends_with(".localhost"));
    let loopback = listening.into_iter().filter(IpAddr::is_loopback).map(|address| address.to_string());
    let own = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    without_repetition(own.into_iter().chain(hosts.cloned()).chain(loopback))
}

fn without_repetition(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    names.filter(|name| seen.insert(name.clone())).collect()
}
