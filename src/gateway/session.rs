//! One connection of a client, as its requests see it.
//!
//! It holds what all of them need, so that they need not take it from where every thread takes it:
//! counting references to one thing from several processors costs more than most of what a request does.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderValue;
use tokio::sync::watch;

use super::access_log::Observer;
use super::client::Remote;
use super::client_io::Activity;
use super::door::Door;
use super::headers;
use super::message::Authority;
use super::problem::Problem;
use super::proxy::Gateway;
use super::server::Tasks;
use super::table::RouteTable;
use super::tls::Secured;

pub(super) struct Session {
    pub(super) gateway: Gateway,
    /// Its own copy: what all connections count by is slow to count by.
    pub(super) observer: Arc<Observer>,
    routes: Mutex<Routes>,
    pub(super) door: Arc<Door>,
    pub(super) client: SocketAddr,
    /// The same without its port, as services are told it.
    address: HeaderValue,
    /// `None`: in clear.
    pub(super) tls: Option<Secured>,
    pub(super) activity: Arc<Activity>,
    pub(super) tasks: Tasks,
}

/// A table, counted by those who use it on one connection.
pub(super) struct Held(pub(super) Arc<RouteTable>);

/// The newest table, looked for only when there is another one.
struct Routes {
    published: watch::Receiver<Arc<RouteTable>>,
    current: Arc<Held>,
}

impl Routes {
    fn of(gateway: &Gateway) -> Self {
        let mut published = gateway.routes.clone();
        let current = Arc::new(Held(Arc::clone(&published.borrow_and_update())));
        Self { published, current }
    }

    fn newest(&mut self) -> Arc<Held> {
        // Once nobody publishes any more, the last one holds.
        if self.published.has_changed().unwrap_or(false) {
            self.current = Arc::new(Held(Arc::clone(&self.published.borrow_and_update())));
        }
        Arc::clone(&self.current)
    }
}

impl Session {
    pub(super) fn new(
        gateway: Gateway,
        door: Arc<Door>,
        client: SocketAddr,
        tls: Option<Secured>,
        activity: Arc<Activity>,
        tasks: Tasks,
    ) -> Self {
        let observer = Arc::new(Observer::clone(gateway.observer()));
        let (routes, address) = (Mutex::new(Routes::of(&gateway)), headers::address(client.ip()));
        Self { gateway, observer, routes, door, client, address, tls, activity, tasks }
    }

    /// The table that a request is routed by that begins now.
    pub(super) fn table(&self) -> Arc<Held> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner).newest()
    }

    /// Of the URLs that lead here.
    pub(super) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// What services are told of where a request comes from.
    pub(super) fn address_of(&self, remote: &Remote) -> HeaderValue {
        if remote.is_proxied { headers::address(remote.client) } else { self.address.clone() }
    }

    /// Whether a request for this host has come to the right connection.
    pub(super) fn admits(&self, authority: &Authority) -> Result<(), Problem> {
        match &self.tls {
            Some(tls) if tls.is_misdirected(&authority.host()) => Err(Problem::Misdirected),
            _ => Ok(()),
        }
    }
}
