//! From what a configuration lists to the addresses behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::model::standalone::{Configuration, EndpointUrl};

/// How long a name server may take.
const PATIENCE: Duration = Duration::from_secs(5);

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
        let answers = join_all(hosts.into_iter().map(look_up)).await;
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

    pub fn addresses(&self, url: &EndpointUrl) -> impl Iterator<Item = SocketAddr> {
        self.known.get(&key(url)).into_iter().flatten().copied()
    }
}

fn key(url: &EndpointUrl) -> (String, u16) {
    (url.host.clone(), url.port)
}

type Answer = Result<BTreeSet<SocketAddr>, String>;

async fn look_up(host: (String, u16)) -> ((String, u16), Answer) {
    let answer = match timeout(PATIENCE, lookup_host((host.0.as_str(), host.1))).await {
        Ok(Ok(addresses)) => Ok(addresses.collect()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {}", humantime::format_duration(PATIENCE))),
    };
    (host, answer)
}
