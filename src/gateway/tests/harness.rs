//! A platform `store` with a running gateway: `order` may call `product`, not the other way round.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::log::Log;
use super::store::{Tokens, doors, embedded, platform};
use super::wire::{Message, Wire};
use crate::gateway::{
    AccessLog, Farewell, Gateway, Limits, Listener, RouteTable, Site, Stopped, Tls, Upstreams, run,
};
use crate::model::catalog::{Catalog, Endpoint, EndpointState};
use crate::model::instance::{Generation, InstanceName};
use crate::model::platform::Platform;
use crate::model::traffic::{RoutePolicy, TrafficPolicy, UpstreamProtocol};

pub struct World {
    pub public: SocketAddr,
    pub internal: SocketAddr,
    /// From `order` to `product`.
    pub link: SocketAddr,
    /// From `product` to `order`, which is not declared.
    pub undeclared_link: SocketAddr,
    pub platform_door: SocketAddr,
    /// Leads to port 8443.
    pub redirect: SocketAddr,
    pub upstreams: Arc<Upstreams>,
    pub gateway: Gateway,
    /// What the access log says.
    pub log: Log,
    platform: Platform,
    catalog: Catalog,
    routes: watch::Sender<Arc<RouteTable>>,
    stop: oneshot::Sender<Farewell>,
    running: JoinHandle<Stopped>,
}

impl World {
    pub async fn new() -> Self {
        Self::with_limits(Limits::default()).await
    }

    pub async fn with_limits(limits: Limits) -> Self {
        Self::start(limits, None, |_| {}).await
    }

    /// With a public door that speaks TLS.
    pub async fn by_tls(tls: Arc<Tls>, limits: Limits) -> Self {
        Self::start(limits, Some(tls), |_| {}).await
    }

    /// Where every route has this policy.
    pub async fn with_policy(policy: &RoutePolicy) -> Self {
        let adapt = |platform: &mut Platform| {
            for route in platform.services.values_mut().flat_map(|service| &mut service.routes) {
                route.policy = policy.clone();
            }
        };
        Self::adapted(Limits::default(), adapt).await
    }

    /// Where every service is treated like this.
    pub async fn with_traffic(traffic: &TrafficPolicy) -> Self {
        let adapt = |platform: &mut Platform| {
            platform.services.values_mut().for_each(|service| service.traffic = traffic.clone());
        };
        Self::adapted(Limits::default(), adapt).await
    }

    pub async fn adapted(limits: Limits, adapt: impl FnOnce(&mut Platform)) -> Self {
        Self::start(limits, None, adapt).await
    }

    /// Where the public door speaks TLS, and browsers are to know.
    pub async fn by_tls_alone(tls: Arc<Tls>, max_age: Duration) -> Self {
        let adapt = |platform: &mut Platform| platform.gateway.hsts = Some(max_age);
        Self::start(Limits::default(), Some(tls), adapt).await
    }

    async fn start(limits: Limits, public: Option<Arc<Tls>>, adapt: impl FnOnce(&mut Platform)) -> Self {
        let mut platform = platform();
        adapt(&mut platform);
        let upstreams = Arc::new(Upstreams::new(limits.clone()));
        let catalog = Catalog::default();
        let (routes, receiver) =
            watch::channel(Arc::new(RouteTable::build(&Site::of(&platform), &catalog, &upstreams)));
        let log = Log::default();
        let access_log = AccessLog::to_writer(log.clone()).unwrap();
        let gateway = Gateway::new(receiver, Arc::<Tokens>::default(), embedded())
            .with_limits(limits)
            .with_trusted_proxies(&platform.gateway.trusted_proxies)
            .with_hsts(platform.gateway.hsts)
            .with_access_log(access_log);
        let mut listeners = Vec::new();
        for door in doors() {
            listeners.push(Listener::in_clear(TcpListener::bind("127.0.0.1:0").await.unwrap(), door));
        }
        listeners[0].tls = public;
        let at: Vec<SocketAddr> = listeners.iter().map(|l| l.socket.local_addr().unwrap()).collect();
        let (stop, told) = oneshot::channel();
        let serving = gateway.clone();
        let running = tokio::spawn(run(listeners, serving, async { told.await.unwrap_or_default() }));
        Self {
            public: at[0],
            internal: at[1],
            link: at[2],
            undeclared_link: at[3],
            platform_door: at[4],
            redirect: at[5],
            upstreams,
            gateway,
            log,
            platform,
            catalog,
            routes,
            stop,
            running,
        }
    }

    /// With `order` served by `address`.
    pub async fn serving(address: SocketAddr) -> Self {
        let mut world = Self::new().await;
        world.set("order", &[(1, address, EndpointState::Ready)]);
        world
    }

    /// The same, where `order` speaks `protocol`.
    pub async fn speaking(protocol: UpstreamProtocol, address: SocketAddr) -> Self {
        Self::speaking_with(protocol, address, &RoutePolicy::default()).await
    }

    pub async fn speaking_with(
        protocol: UpstreamProtocol,
        address: SocketAddr,
        policy: &RoutePolicy,
    ) -> Self {
        let adapt = |platform: &mut Platform| {
            for service in platform.services.values_mut() {
                service.traffic.protocol = protocol;
                service.routes.iter_mut().for_each(|route| route.policy = policy.clone());
            }
        };
        let mut world = Self::adapted(Limits::default(), adapt).await;
        world.set("order", &[(1, address, EndpointState::Ready)]);
        world
    }

    /// Replaces the endpoints of a service: replica, address, state.
    pub fn set(&mut self, service: &str, endpoints: &[(u16, SocketAddr, EndpointState)]) {
        let endpoints = endpoints.iter().map(|&(replica, address, state)| Endpoint {
            instance: instance(service, replica),
            address,
            state,
        });
        self.catalog.services.insert(service.parse().unwrap(), endpoints.collect());
        self.routes.send_replace(Arc::new(self.table()));
    }

    /// Replaces the ready endpoints of `order`: generation and address.
    pub fn generations(&mut self, endpoints: &[(u32, SocketAddr)]) {
        let ready =
            endpoints.iter().map(|&(generation, address)| (generation, address, EndpointState::Ready));
        self.versions(&ready.collect::<Vec<_>>());
    }

    /// Replaces the endpoints of `order`, of which each is a replica: generation, address, state.
    pub fn versions(&mut self, endpoints: &[(u32, SocketAddr, EndpointState)]) {
        let endpoints = (1..).zip(endpoints).map(|(replica, &(generation, address, state))| Endpoint {
            instance: version(generation, replica),
            address,
            state,
        });
        self.catalog.services.insert("order".parse().unwrap(), endpoints.collect());
        self.routes.send_replace(Arc::new(self.table()));
    }

    /// How many are watching for another table.
    pub fn table_watchers(&self) -> usize {
        self.routes.receiver_count()
    }

    pub fn table(&self) -> RouteTable {
        RouteTable::build(&Site::of(&self.platform), &self.catalog, &self.upstreams)
    }

    /// Sends a GET with these extra lines, each with its CRLF.
    pub async fn get(&self, path: &str, lines: &str) -> Message {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: store.localhost\r\n{lines}\r\n")).await
    }

    /// Sends any bytes to the public door on a connection of their own.
    pub async fn send(&self, request: &str) -> Message {
        send(self.public, request).await
    }

    pub async fn stop(self) -> Stopped {
        self.stop.send(Farewell::Ends).unwrap();
        self.running.await.unwrap()
    }

    /// Stops as if another process went on.
    pub async fn succeeded(self) -> Stopped {
        self.stop.send(Farewell::Succeeded).unwrap();
        self.running.await.unwrap()
    }
}

pub async fn send(door: SocketAddr, request: &str) -> Message {
    let mut wire = Wire::connect(door).await;
    wire.write(request).await;
    wire.read().await.expect("an answer")
}

/// A replica of `order`.
pub fn version(generation: u32, replica: u16) -> InstanceName {
    InstanceName { generation: Generation::new(generation).unwrap(), ..instance("order", replica) }
}

pub fn instance(service: &str, replica: u16) -> InstanceName {
    InstanceName { service: service.parse().unwrap(), generation: Generation::FIRST, replica }
}
