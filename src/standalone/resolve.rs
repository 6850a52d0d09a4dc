//! From what a configuration lists to the addresses behind it.
//!
//! Each address is an endpoint. A name with addresses of both families (`localhost`) has two ways to the
//! same endpoints, though: of these only one counts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::model::standalone::{Configuration, EndpointUrl};

/// How long a name server may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long addresses of one family have to show that somebody listens there.
const GLANCE: Duration = Duration::from_millis(250);

/// The latest addresses of every name.
#[derive(Debug, Default)]
pub struct Names {
    known: BTreeMap<(String, u16), BTreeSet<SocketAddr>>,
}

impl Names {
    /// Asks anew for every host of the configuration. A name that has no answer this time keeps its
    /// last one: that a name server is away says nothing about the service.
    ///
    /// Gives what went wrong, a line for each name.
    pub async fn refresh(&mut self, configuration: &Configuration) -> Vec<String> {
        let endpoints = configuration.services.iter().flat_map(|service| &service.endpoints);
        let hosts: BTreeSet<_> = endpoints.map(|endpoint| key(&endpoint.url)).collect();
        let answers = join_all(hosts.into_iter().map(|host| self.look_up(host))).await;
        let mut faults = Vec::new();
        let mut fresh = BTreeMap::new();
        for (host, answer) in answers {
            let addresses = answer.unwrap_or_else(|fault| {
                faults.push(format!("{} has no address: {fault}", host.0));
                self.known.remove(&host).unwrap_or_default()
            });
            fresh.insert(host, addresses);
        }
        self.known = fresh;
        faults
    }

    async fn look_up(&self, host: (String, u16)) -> ((String, u16), Answer) {
        let answer = match timeout(PATIENCE, lookup_host((host.0.as_str(), host.1))).await {
            Ok(Ok(found)) => {
                let before = self.known.get(&host);
                Ok(of_one_family(found.collect(), before.unwrap_or(&BTreeSet::new())).await)
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {}", humantime::format_duration(PATIENCE))),
        };
        (host, answer)
    }

    pub fn addresses(&self, url: &EndpointUrl) -> impl Iterator<Item = SocketAddr> {
        self.known.get(&key(url)).into_iter().flatten().copied()
    }
}

fn key(url: &EndpointUrl) -> (String, u16) {
    (url.host.clone(), url.port)
}

type Answer = Result<BTreeSet<SocketAddr>, String>;

/// Both families lead to the same place: the one used so far goes on while it answers, or while neither
/// does. IPv4 comes first, as most servers listen there.
async fn of_one_family(found: BTreeSet<SocketAddr>, before: &BTreeSet<SocketAddr>) -> BTreeSet<SocketAddr> {
    let (v4, v6): (BTreeSet<_>, BTreeSet<_>) = found.into_iter().partition(SocketAddr::is_ipv4);
    let (first, second) = if before.iter().any(SocketAddr::is_ipv6) { (v6, v4) } else { (v4, v6) };
    if first.is_empty() || second.is_empty() {
        return &first | &second;
    }
    if answers(&first).await || !answers(&second).await { first } else { second }
}

async fn answers(family: &BTreeSet<SocketAddr>) -> bool {
    let glances = family.iter().map(|address| timeout(GLANCE, TcpStream::connect(address)));
    join_all(glances).await.iter().any(|connected| matches!(connected, Ok(Ok(_))))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn of_two_families_the_one_that_answers_is_used() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let v4 = server.local_addr().unwrap();
        let v6 = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], v4.port()));
        let (both, only) = (BTreeSet::from([v4, v6]), |address| BTreeSet::from([address]));
        assert_eq!(of_one_family(both.clone(), &BTreeSet::new()).await, only(v4));
        assert_eq!(of_one_family(both.clone(), &only(v6)).await, only(v4));
        assert_eq!(of_one_family(only(v6), &only(v4)).await, only(v6));
        drop(server);
        assert_eq!(of_one_family(both.clone(), &BTreeSet::new()).await, only(v4));
        assert_eq!(of_one_family(both, &only(v6)).await, only(v6));
    }

    #[tokio::test]
    async fn addresses_of_one_family_are_all_endpoints() {
        let all: BTreeSet<SocketAddr> = [1, 2].map(|last| ([192, 0, 2, last], 80).into()).into();
        assert_eq!(of_one_family(all.clone(), &BTreeSet::new()).await, all);
    }
}
