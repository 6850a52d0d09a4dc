//! How services find their way: the internal doors, and what each service is told about them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::addresses::{DataHome, Directory, Entrance, PORT_TRIES, preferred_port};
use super::ending::Ending;
use super::note::entrance_name;
use super::port_holder::describe_port;
use super::sockets::Sockets;
use crate::auth::Auth;
use crate::configuration;
use crate::engine::ports;
use crate::gateway::{self, Door, Gateway, ListenOptions, Listener};
use crate::model::name::{PlatformId, ServiceName};
use crate::model::platform::{Platform, ServiceSpec};
use crate::runtime::{CallerIdentity, Runtime, RuntimeKind, Underlay};

/// The internal side of a running platform.
pub struct Wiring {
    directory: Mutex<Directory>,
    state: PathBuf,
    /// What doors lead to; `None` where doors are only spoken of.
    house: Option<House>,
}

/// What it takes to open a door.
pub struct House {
    pub runtime: Arc<dyn Runtime>,
    pub gateway: Gateway,
    pub auth: Arc<Auth>,
    pub ending: Ending,
    pub tasks: TaskTracker,
    pub sockets: Arc<Sockets>,
}

impl Wiring {
    /// `state` is the runtime's folder, which local processes keep their data below.
    #[must_use]
    pub fn new(underlay: &Underlay, state: PathBuf, house: House) -> Self {
        Self { directory: Mutex::new(directory(underlay)), state, house: Some(house) }
    }

    /// Addresses as they would be, without anything listening there.
    #[must_use]
    pub fn offline(kind: RuntimeKind, state: PathBuf) -> Self {
        let door = IpAddr::from([127, 0, 0, 1]);
        let callers = match kind {
            RuntimeKind::Docker => CallerIdentity::SourceAddress,
            RuntimeKind::Process | RuntimeKind::Fake => CallerIdentity::PortPerCall,
        };
        Self { directory: Mutex::new(directory(&Underlay { door, callers })), state, house: None }
    }

    fn directory(&self) -> MutexGuard<'_, Directory> {
        // Its maps are changed by single inserts: a panic elsewhere leaves nothing half-done.
        self.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody may have removed what instances stand on, and what the runtime then makes in its
    /// place may have another address: the doors are opened there, too.
    async fn follow_underlay(&self) {
        let Some(house) = &self.house else { return };
        // A runtime that does not answer is noticed by the look that follows.
        let Ok(underlay) = house.runtime.prepare().await else { return };
        let mut directory = self.directory();
        if directory.door != underlay.door {
            directory.door = underlay.door;
            directory.ports.clear();
        }
    }

    fn open(&self, platform: &PlatformId, entrance: Entrance) -> Result<(), String> {
        let Some(house) = &self.house else {
            return Ok(());
        };
        let (address, callers) = {
            let directory = self.directory();
            if directory.ports.contains_key(&entrance) {
                return Ok(());
            }
            (directory.door, directory.callers)
        };
        let socket = bind_near(address, preferred_port(platform, callers, &entrance))?;
        self.serve(house, entrance, socket);
        Ok(())
    }

    /// Serves a listener that another process has opened.
    pub fn adopt(&self, entrance: Entrance, socket: TcpListener) {
        if let Some(house) = &self.house {
            self.serve(house, entrance, socket);
        }
    }

    fn serve(&self, house: &House, entrance: Entrance, socket: TcpListener) {
        let callers = {
            let mut directory = self.directory();
            // One at another address than the door's is for those who know it from before.
            if let Some(at) = socket.local_addr().ok().filter(|at| at.ip() == directory.door) {
                directory.ports.insert(entrance.clone(), at.port());
            }
            directory.callers
        };
        house.sockets.keep(&entrance_name(&entrance), &socket);
        let door = match (entrance, callers) {
            (Entrance::Platform, CallerIdentity::SourceAddress) => Door::Internal,
            (Entrance::Platform, CallerIdentity::PortPerCall) => Door::Platform,
            (Entrance::Call { caller, callee }, _) => Door::Link { caller, callee },
        };
        let (gateway, ending) = (house.gateway.clone(), house.ending.clone());
        house.tasks.spawn(async move {
            let listeners = vec![Listener::in_clear(socket, door)];
            ending.closed(gateway::run(listeners, gateway, ending.heard()).await);
        });
    }
}

fn directory(underlay: &Underlay) -> Directory {
    let data = match underlay.callers {
        CallerIdentity::SourceAddress => DataHome::Mount,
        CallerIdentity::PortPerCall => DataHome::Host,
    };
    Directory { callers: underlay.callers, door: underlay.door, ports: BTreeMap::new(), data }
}

fn bind_near(address: IpAddr, preferred: u16) -> Result<TcpListener, String> {
    let mut refusal = String::new();
    for port in preferred..preferred + PORT_TRIES {
        match gateway::listen((address, port).into(), ListenOptions::default()) {
            Ok(socket) => return Ok(socket),
            Err(error) if refusal.is_empty() => {
                refusal = format!("cannot listen on {address}:{port}: {error}{}", describe_port(port));
            }
            Err(_) => {}
        }
    }
    Err(refusal)
}

#[async_trait]
impl ports::Wiring for Wiring {
    async fn prepare(&self, platform: &Arc<Platform>) -> Result<(), String> {
        self.follow_underlay().await;
        self.open(&platform.id, Entrance::Platform)?;
        if self.directory().callers == CallerIdentity::SourceAddress {
            return Ok(());
        }
        for service in platform.services.values() {
            for callee in &service.calls {
                let entrance = Entrance::Call { caller: service.name.clone(), callee: callee.clone() };
                self.open(&platform.id, entrance)?;
            }
        }
        Ok(())
    }

    fn environment(&self, platform: &Platform, service: &ServiceSpec) -> Vec<(String, String)> {
        let addresses = self.directory().addresses(platform, service, &self.state);
        configuration::environment(platform, service, &addresses)
    }

    fn door_hosts(&self, platform: &Platform) -> Vec<String> {
        self.directory().door_hosts(platform)
    }

    fn token(&self, service: &ServiceName) -> Option<String> {
        let token = self.house.as_ref()?.auth.service_token(service);
        // Signing with a loaded key does not fail; should it, the service still has its address.
        token
            .inspect_err(|error| tracing::error!(%service, %error, "no token"))
            .ok()
            .map(|t| t.expose().to_owned())
    }
}
