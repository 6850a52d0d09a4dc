//! The owner of what is known of the endpoints; publishes the route table that follows from it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::members::{Member, Members, Spot};
use crate::gateway::{Limits, RouteTable, Site, Upstreams};
use crate::model::catalog::EndpointState;
use crate::model::instance::InstanceName;

/// How long requests at an endpoint that is no longer listed may go on.
const DRAIN: Duration = Duration::from_secs(10);

pub struct Fleet {
    upstreams: Upstreams,
    tables: watch::Sender<Arc<RouteTable>>,
    /// Held while a table is made and published, so that tables come out in the order of changes.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    site: Site,
    members: Members,
}

impl Fleet {
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let upstreams = Upstreams::new(limits);
        let state = State::default();
        let table = RouteTable::build(&state.site, &state.members.catalog(), &upstreams);
        Self { upstreams, tables: watch::Sender::new(Arc::new(table)), state: Mutex::new(state) }
    }

    pub fn tables(&self) -> watch::Receiver<Arc<RouteTable>> {
        self.tables.subscribe()
    }

    /// Those of `spots` that are new here.
    pub(super) fn missing(&self, spots: &BTreeSet<Spot>) -> Vec<Spot> {
        self.state().members.missing(spots).into_iter().cloned().collect()
    }

    /// Routes by `site` to exactly `spots`. Those in `ready` take requests at once; of the others
    /// those do that did before. Whoever left is given time for its open requests.
    pub(super) fn follow(self: &Arc<Self>, site: Site, spots: &BTreeSet<Spot>, ready: &BTreeSet<Spot>) {
        let mut state = self.state();
        state.site = site;
        let left = state.members.follow(spots, ready);
        self.publish(&state);
        drop(state);
        for name in left {
            tokio::spawn(Arc::clone(self).let_go(name));
        }
    }

    /// An endpoint was found to be so.
    pub fn judge(&self, name: &InstanceName, found: EndpointState) {
        let mut state = self.state();
        if state.members.set(name, found) {
            self.publish(&state);
        }
    }

    /// An endpoint has said of itself that it is well.
    pub fn vouch(&self, name: &InstanceName) {
        self.upstreams.check_passed(name);
    }

    pub(super) fn table(&self) -> Arc<RouteTable> {
        Arc::clone(&self.tables.borrow())
    }

    pub(super) fn members(&self) -> Vec<Member> {
        self.state().members.present().to_vec()
    }

    /// Whether every service has somebody who takes requests; if not, which one has not.
    pub fn unserved(&self) -> Vec<String> {
        let state = self.state();
        let ready: BTreeSet<_> = state
            .members
            .present()
            .iter()
            .filter(|member| member.state == EndpointState::Ready)
            .map(|member| &member.name.service)
            .collect();
        let unserved = state.site.services.iter().filter(|service| !ready.contains(&service.name));
        unserved.map(|service| service.name.to_string()).collect()
    }

    async fn let_go(self: Arc<Self>, name: InstanceName) {
        // Whoever is cut off here was given all the time there is.
        let _ = self.upstreams.drain(&name, DRAIN).await;
        self.upstreams.forget(&name);
        self.state().members.forget(&name);
    }

    fn publish(&self, state: &State) {
        let table = RouteTable::build(&state.site, &state.members.catalog(), &self.upstreams);
        self.tables.send_replace(Arc::new(table));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of it is complete before anything that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let addresses: Vec<SocketAddr> = self.members().iter().map(|member| member.address).collect();
        f.debug_tuple("Fleet").field(&addresses).finish()
    }
}
