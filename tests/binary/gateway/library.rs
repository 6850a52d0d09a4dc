//! The data plane from outside of this crate: no platform, no command line, no file.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use msctl::gateway::site::SiteService;
use msctl::gateway::{
    Body, Door, Embedded, EmbeddedService, Gateway, Listener, RouteTable, Site, Upstreams, run,
};
use msctl::model::catalog::{Catalog, Endpoint, EndpointState};
use msctl::model::instance::{Generation, InstanceName};
use msctl::model::principal::{Principal, TokenRejection, TokenVerifier};
use msctl::model::route::{Access, Methods, Route};
use msctl::model::traffic::{RoutePolicy, TrafficPolicy};

use super::backend::Backend;

struct Nobody;

impl TokenVerifier for Nobody {
    fn verify(&self, _: &str, _: SystemTime) -> Result<Principal, TokenRejection> {
        Err(TokenRejection::Signature)
    }
}

struct Nothing;

impl EmbeddedService for Nothing {
    fn call(&self, _: Request<Incoming>) -> BoxFuture<'_, Response<Body>> {
        Box::pin(std::future::ready(Response::new(Body::empty())))
    }
}

fn site() -> Site {
    let route = Route {
        prefix: "/orders".parse().unwrap(),
        methods: Methods::All,
        access: Access::Public,
        strip_prefix: true,
        hosts: BTreeSet::new(),
        policy: RoutePolicy::default(),
    };
    let orders = SiteService {
        name: "orders".parse().unwrap(),
        manifest: "this test".to_owned(),
        routes: vec![route],
        health: Vec::new(),
        calls: BTreeSet::new(),
        traffic: TrafficPolicy::default(),
    };
    Site { domain: None, services: vec![orders] }
}

fn catalog(backend: &Backend) -> Catalog {
    let instance =
        InstanceName { service: "orders".parse().unwrap(), generation: Generation::FIRST, replica: 1 };
    let endpoint = Endpoint { instance, address: backend.address, state: EndpointState::Ready };
    Catalog { version: 1, services: [("orders".parse().unwrap(), vec![endpoint])].into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_needs_listeners_routes_a_verifier_and_somebody_to_stop_it() {
    let backend = Backend::named("one");
    let upstreams = Upstreams::default();
    let table = RouteTable::build(&site(), &catalog(&backend), &upstreams);
    let (_tables, routes) = watch::channel(Arc::new(table));
    let embedded = Embedded { public: Vec::new(), internal: Arc::new(Nothing) };
    let gateway = Gateway::new(routes, Arc::new(Nobody), embedded);
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let stop = CancellationToken::new();
    let listeners = vec![Listener::in_clear(socket, Door::Public)];
    let running = tokio::spawn(run(listeners, gateway, stop.clone().cancelled_owned()));
    let answer =
        tokio::task::spawn_blocking(move || crate::harness::http::get(&format!("http://{address}/orders/7")));
    assert_eq!(answer.await.unwrap().body, "one /7 nobody");
    stop.cancel();
    assert_eq!(running.await.unwrap().cut_off, 0);
}
