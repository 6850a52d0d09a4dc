//! What one configuration changes about another, in a few words. Pure.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::model::standalone::{Configuration, StaticService};

/// A line for each part that differs.
#[must_use]
pub fn difference(before: &Configuration, after: &Configuration) -> Vec<String> {
    let mut lines = Vec::new();
    let listeners =
        |of: &Configuration| of.listeners.iter().map(|listener| listener.listen).collect::<BTreeSet<_>>();
    let (old, new) = (listeners(before), listeners(after));
    let show = |sign: &'static str| move |address: &SocketAddr| format!("{sign} listener {address}");
    lines.extend(old.difference(&new).map(show("-")));
    lines.extend(new.difference(&old).map(show("+")));
    let find = |of: &Configuration, service: &StaticService| {
        of.services.iter().find(|other| other.name == service.name).cloned()
    };
    let gone = before.services.iter().filter(|service| find(after, service).is_none());
    lines.extend(gone.map(|service| format!("- service {}", service.name)));
    for service in &after.services {
        match find(before, service) {
            None => lines.push(format!("+ service {}", service.name)),
            Some(old) => lines.extend(changes(&old, service)),
        }
    }
    let others = [
        ("listeners", old == new && before.listeners != after.listeners),
        ("admin", before.admin != after.admin),
        ("auth", before.auth != after.auth),
        ("shutdown", before.shutdown != after.shutdown),
    ];
    lines.extend(others.iter().filter(|(_, differs)| *differs).map(|(name, _)| format!("~ {name}")));
    lines
}

fn changes(old: &StaticService, new: &StaticService) -> Option<String> {
    let parts = [
        ("endpoints", old.endpoints != new.endpoints),
        ("routes", old.routes != new.routes),
        ("traffic", old.traffic != new.traffic),
        ("probe", old.probing != new.probing),
    ];
    let differing: Vec<_> = parts.iter().filter(|(_, differs)| *differs).map(|(name, _)| *name).collect();
    (!differing.is_empty()).then(|| format!("~ service {}: {}", new.name, differing.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::standalone::Probing;
    use crate::standalone::lines::Lines;

    fn configuration(listen: &str, routes: &[&str], probing: &Probing) -> Configuration {
        let routes = routes.iter().map(|line| line.parse().unwrap()).collect();
        let lines = Lines { listen: vec![listen.parse().unwrap()], routes, ..Lines::default() };
        lines.configuration(probing).unwrap()
    }

    #[test]
    fn only_what_differs_is_named() {
        let before = configuration("127.0.0.1:1", &["/a=http://a:1", "/b=http://b:1"], &Probing::Off);
        assert_eq!(difference(&before, &before), [""; 0]);
        let after = configuration("127.0.0.1:2", &["/a=http://a:2", "/c=http://c:1"], &Probing::Off);
        let expected = [
            "- listener 127.0.0.1:1",
            "+ listener 127.0.0.1:2",
            "- service b",
            "~ service a: endpoints",
            "+ service c",
        ];
        assert_eq!(difference(&before, &after), expected);
    }
}
