//! The names that a platform answers to on this machine.

use crate::model::platform::Platform;

/// What the local authority may sign of a platform's names: those at or below `localhost`, and the
/// loopback addresses. Browsers accept no wildcard directly below `localhost`, so each platform has
/// one of its own.
#[must_use]
pub fn names(platform: &Platform) -> Vec<String> {
    let own = format!("{}.localhost", platform.id.name);
    let mut names = vec!["localhost".to_owned(), own.clone(), format!("*.{own}")];
    let routes = platform.services.values().flat_map(|service| &service.routes);
    let hosts = routes.flat_map(|route| &route.hosts).filter(|host| host.ends_with(".localhost"));
    names.extend(hosts.cloned());
    let listen = platform.gateway.listen.ip();
    names.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
    if listen.is_loopback() {
        names.push(listen.to_string());
    }
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}
