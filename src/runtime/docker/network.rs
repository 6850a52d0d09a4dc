//! The platform's private network, and the door through which its instances reach this process.

use std::collections::HashMap;
use std::net::{IpAddr, TcpListener};
use std::time::Duration;

use bollard::models::{Network, NetworkCreateRequest};
use bollard::query_parameters::{InspectNetworkOptions, ListNetworksOptionsBuilder};
use sha2::{Digest, Sha256};

use super::Docker;
use super::connect::Family;
use super::errors::status_of;
use crate::runtime::{RuntimeError, labels};

/// For how long the network of another maker may take to show up: one second.
const SHOWING_ATTEMPTS: u32 = 50;
const SHOWING_PAUSE: Duration = Duration::from_millis(20);

/// The network as the engine knows it. Instances join it by id: names are not unique there.
#[derive(Debug, Clone)]
pub(super) struct SharedNetwork {
    pub id: String,
    pub door: IpAddr,
}

impl Docker {
    /// The network as last prepared, preparing it where nobody has.
    pub(super) async fn shared_network(&self) -> Result<SharedNetwork, RuntimeError> {
        if let Some(known) = self.network.lock().await.clone() {
            return Ok(known);
        }
        self.prepare_network().await
    }

    /// Finds or makes the network, and checks that its door can be listened at.
    pub(super) async fn prepare_network(&self) -> Result<SharedNetwork, RuntimeError> {
        // Held while asking, so that one process never makes two.
        let mut known = self.network.lock().await;
        *known = None;
        let id = match self.find_network().await? {
            Some(id) => id,
            None => self.make_network().await?,
        };
        let door = self.gateway_of(&id).await?;
        check_door(&self.network_name(), door)?;
        let network = SharedNetwork { id, door };
        *known = Some(network.clone());
        Ok(network)
    }

    pub(super) async fn forget_network(&self) {
        *self.network.lock().await = None;
    }

    pub(super) fn network_name(&self) -> String {
        self.platform.to_string()
    }

    /// The id of our network; of several, the same one for everybody.
    async fn find_network(&self) -> Result<Option<String>, RuntimeError> {
        let name = self.network_name();
        let named = HashMap::from([("name", vec![name.as_str()])]);
        let options = ListNetworksOptionsBuilder::default().filters(&named).build();
        let found = self.api.list_networks(Some(options)).await;
        let mut found = found.map_err(self.engine.failed_to("list the networks"))?;
        // The engine's filter also matches parts of names.
        found.retain(|network| network.name.as_deref() == Some(&name));
        if found.iter().any(|network| !self.is_ours(network.labels.as_ref().unwrap_or(&HashMap::new()))) {
            return Err(strange_network(&name));
        }
        Ok(first_of(found))
    }

    /// Engines before API 1.44 let two networks have one name, but never one bridge: that is how the
    /// second of two makers at once is refused. It then waits for the first one's to show up.
    async fn make_network(&self) -> Result<String, RuntimeError> {
        let name = self.network_name();
        let error = match self.api.create_network(self.network_request()).await {
            Ok(made) => return Ok(made.id),
            Err(error) => error,
        };
        if matches!(status_of(&error), Some(403 | 409)) {
            for _ in 0..SHOWING_ATTEMPTS {
                if let Some(id) = self.find_network().await? {
                    return Ok(id);
                }
                tokio::time::sleep(SHOWING_PAUSE).await;
            }
        }
        Err(self.engine.failed_to(format!("create network {name}"))(error))
    }

    fn network_request(&self) -> NetworkCreateRequest {
        let name = self.network_name();
        let bridge = ("com.docker.network.bridge.name".to_owned(), bridge_name(&name));
        // Instances reach each other through the door alone, which knows who may call whom.
        let apart = ("com.docker.network.bridge.enable_icc".to_owned(), "false".to_owned());
        let options = (self.engine.family == Family::Docker).then(|| HashMap::from([bridge, apart]));
        NetworkCreateRequest {
            name,
            driver: Some("bridge".to_owned()),
            labels: Some(labels::of_platform(&self.platform).into_iter().collect()),
            options,
            ..NetworkCreateRequest::default()
        }
    }

    /// Removes a network; one that is gone is fine.
    pub(super) async fn remove_network(&self, id: &str) -> Result<(), RuntimeError> {
        match self.api.remove_network(id).await {
            Err(error) if status_of(&error) == Some(404) => Ok(()),
            other => other.map_err(self.engine.failed_to(format!("remove network {}", self.network_name()))),
        }
    }

    async fn gateway_of(&self, id: &str) -> Result<IpAddr, RuntimeError> {
        let name = self.network_name();
        let inspected = self.api.inspect_network(id, None::<InspectNetworkOptions>).await;
        let network = inspected.map_err(self.engine.failed_to(format!("inspect network {name}")))?;
        let pools = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
        let gateways = pools.into_iter().filter_map(|pool| pool.gateway?.parse().ok());
        // An IPv6 pool beside it is of no use to the door.
        gateways.into_iter().find(IpAddr::is_ipv4).ok_or_else(|| RuntimeError::Refused {
            what: format!("share network {name} with this machine"),
            reason: "it has no IPv4 gateway address".to_owned(),
        })
    }
}

/// The oldest, and of equally old ones the one with the smallest id.
fn first_of(networks: Vec<Network>) -> Option<String> {
    let first = networks.into_iter().min_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id)));
    first.and_then(|network| network.id)
}

/// Whether the door is an address of this machine. It is not where the engine runs in a virtual
/// machine: instances would knock at that machine's door instead of ours.
fn check_door(network: &str, door: IpAddr) -> Result<(), RuntimeError> {
    match TcpListener::bind((door, 0)) {
        Ok(_) => Ok(()),
        Err(_) => Err(RuntimeError::Refused {
            what: format!("share network {network} with this machine"),
            reason: format!(
                "its gateway address {door} is not an address of this machine, as if the engine ran in a \
                 virtual machine (Docker Desktop does); hint: use a local engine, or run without one: \
                 msctl up --runtime process"
            ),
        }),
    }
}

fn strange_network(name: &str) -> RuntimeError {
    RuntimeError::Refused {
        what: format!("use network {name}"),
        reason: format!(
            "a network of that name exists that msctl did not make; hint: see what it is with docker \
             network inspect {name}, then rename or remove it"
        ),
    }
}

/// A name for the interface on this machine, which may have 15 characters (Linux, `IFNAMSIZ`).
fn bridge_name(network: &str) -> String {
    let digest = Sha256::digest(network);
    let number = digest.iter().take(6).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    format!("ms-{number:012x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_this_machine_can_be_the_door() {
        assert!(check_door("store-3fa9c1", IpAddr::from([127, 0, 0, 1])).is_ok());
    }

    #[test]
    fn an_address_of_another_machine_cannot_and_the_way_out_is_shown() {
        // RFC 5737, section 3: never an address of anybody.
        let message = check_door("store-3fa9c1", IpAddr::from([192, 0, 2, 1])).unwrap_err().to_string();
        assert!(message.contains("192.0.2.1 is not an address of this machine"), "{message}");
        assert!(message.contains("msctl up --runtime process"), "{message}");
    }

    #[test]
    fn bridges_of_different_platforms_have_different_names_that_fit() {
        assert_eq!(bridge_name("store-3fa9c1").len(), 15);
        assert_ne!(bridge_name("store-3fa9c1"), bridge_name("store-3fa9c2"));
    }

    #[test]
    fn of_two_networks_everybody_takes_the_same() {
        let network = |id: &str| Network { id: Some(id.to_owned()), ..Network::default() };
        assert_eq!(first_of(vec![network("b"), network("a")]), Some("a".to_owned()));
        assert_eq!(first_of(vec![network("a"), network("b")]), Some("a".to_owned()));
        assert_eq!(first_of(Vec::new()), None);
    }
}
