//! The instances as the gateway sees them: how busy each is, and its connections.
//!
//! An [`Upstream`] outlives route tables: swapping a table changes who is picked, never what is
//! counted. A request holds a [`Lease`] from the moment it enters until the last byte of the
//! response was handed on, so "no leases" means that the instance may be stopped.
//!
//! Entering and draining race by design. Both are one atomic operation on one word, the count with
//! the draining bit in it: whoever enters before the bit is waited for, whoever comes after it is
//! turned away and picks again. Calling an instance back clears that bit, unless its drain has closed
//! it by then: which of the two came first is decided by that word, too.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::connection::{ConnectError, Connection};
use super::limits::Limits;
use super::metrics::Metrics;
use super::policy::balance::Candidate;
use super::policy::outlier::Outlier;
use super::policy::rendezvous;
use super::pool::Pool;
use super::service_state::{Permit, ServiceState};
use super::workers;
use crate::model::instance::InstanceName;
use crate::model::name::ServiceName;
use crate::model::traffic::UpstreamProtocol;

/// How the draining of an instance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum DrainOutcome {
    /// Every request had ended.
    Idle,
    /// So many requests or tunnels were still open at the deadline, and were cut.
    CutOff(usize),
}

/// The instance takes no new requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draining;

/// All instances that tables were ever built with, until they are forgotten.
#[derive(Debug, Default)]
pub struct Upstreams {
    known: Mutex<Known>,
    limits: Arc<Limits>,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Known {
    /// How many tables were begun.
    tables: u64,
    instances: HashMap<(InstanceName, SocketAddr), Arc<Upstream>>,
    services: HashMap<ServiceName, Weak<ServiceState>>,
}

impl Upstreams {
    pub fn new(limits: Limits) -> Self {
        Self { limits: Arc::new(limits), ..Self::default() }
    }

    /// Where everything that is about these instances is counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// A table is about to be built. Whoever is in it and was not in the one before starts slowly.
    pub(super) fn begin_table(&self) {
        lock(&self.known).tables += 1;
    }

    /// The one upstream of this instance at this address, for the table that is being built. One that is
    /// draining is called back, and one that was closed is replaced: whoever lists it as ready again
    /// knows better.
    pub(super) fn at(&self, instance: &InstanceName, address: SocketAddr) -> Arc<Upstream> {
        let mut known = lock(&self.known);
        let table = known.tables;
        let key = (instance.clone(), address);
        let upstream = match known.instances.get(&key) {
            Some(upstream) if upstream.call_back() => Arc::clone(upstream),
            _ => {
                let upstream = Arc::new(Upstream::new(instance.clone(), address, &self.limits));
                self.metrics.watch(&upstream);
                known.instances.insert(key, Arc::clone(&upstream));
                upstream
            }
        };
        upstream.is_listed_in(table);
        upstream
    }

    /// The one state of the service.
    pub(super) fn service(&self, service: &ServiceName) -> Arc<ServiceState> {
        let mut known = lock(&self.known);
        if let Some(state) = known.services.get(service).and_then(Weak::upgrade) {
            return state;
        }
        let state = Arc::new(ServiceState::new(Instant::now()));
        known.services.insert(service.clone(), Arc::downgrade(&state));
        state
    }

    /// Lets go of what no table and no request has any more.
    pub(super) fn tidy(&self) {
        lock(&self.known).services.retain(|_, state| state.strong_count() > 0);
        self.metrics.tidy();
    }

    /// The instance was asked whether it is well, and it is: it is left out no longer.
    pub fn check_passed(&self, instance: &InstanceName) {
        for upstream in self.of(instance) {
            upstream.outlier.check_passed(Instant::now());
        }
    }

    /// Requests and tunnels that are open at the instance.
    pub fn in_flight(&self, instance: &InstanceName) -> usize {
        self.of(instance).iter().map(|upstream| Upstream::in_flight(upstream)).sum()
    }

    /// Lets no new request in, waits until every open one has ended or `limit` has passed since that was
    /// begun, then closes all connections. The instance should have left the route table before; if it comes back
    /// to it meanwhile, it is not closed.
    pub async fn drain(&self, instance: &InstanceName, limit: Duration) -> DrainOutcome {
        let upstreams = self.of(instance);
        let drained = upstreams.iter().map(|upstream| upstream.drain(limit));
        let cut: usize = futures_util::future::join_all(drained).await.into_iter().sum();
        if cut == 0 { DrainOutcome::Idle } else { DrainOutcome::CutOff(cut) }
    }

    /// Closes whatever is left of the instance and drops its state.
    pub fn forget(&self, instance: &InstanceName) {
        for upstream in self.of(instance) {
            upstream.close();
        }
        lock(&self.known).instances.retain(|(name, _), _| name != instance);
    }

    fn of(&self, instance: &InstanceName) -> Vec<Arc<Upstream>> {
        let known = lock(&self.known);
        let of_it = known.instances.iter().filter(|((name, _), _)| name == instance);
        of_it.map(|(_, upstream)| Arc::clone(upstream)).collect()
    }
}

/// One instance at one address.
#[derive(Debug)]
pub struct Upstream {
    instance: InstanceName,
    /// A hash of the name.
    identity: u64,
    created: Instant,
    /// Since when it is in every table, in nanoseconds after `created`.
    ready_after: AtomicU64,
    /// The last table that it is in.
    listed_in: AtomicU64,
    outlier: Outlier,
    /// Open leases, [`DRAINING`] and [`CLOSED`].
    load: AtomicUsize,
    emptied: Notify,
    /// Since when nobody is let in. Whoever drains it anew goes on with what was begun then.
    draining_since: Mutex<Option<tokio::time::Instant>>,
    /// One for each worker, since a connection is driven by the thread that opened it.
    pools: Box<[Pool]>,
}

/// Nobody is let in.
const DRAINING: usize = 1 << (usize::BITS - 1);
/// For good.
const CLOSED: usize = 1 << (usize::BITS - 2);

impl Upstream {
    fn new(instance: InstanceName, address: SocketAddr, limits: &Arc<Limits>) -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let room = idle_room(limits, workers);
        let pools = (0..workers).map(|_| Pool::new(address, Arc::clone(limits), room)).collect();
        let now = Instant::now();
        Self {
            identity: rendezvous::hash(instance.to_string().as_bytes()),
            instance,
            created: now,
            ready_after: AtomicU64::new(0),
            listed_in: AtomicU64::new(0),
            outlier: Outlier::new(now),
            load: AtomicUsize::new(0),
            emptied: Notify::new(),
            draining_since: Mutex::new(None),
            pools,
        }
    }

    pub fn instance(&self) -> &InstanceName {
        &self.instance
    }

    pub fn in_flight(&self) -> usize {
        self.load.load(Ordering::Acquire) & !(DRAINING | CLOSED)
    }

    /// Whether it takes no requests any more.
    pub(super) fn is_withdrawn(&self) -> bool {
        self.load.load(Ordering::Acquire) & DRAINING != 0
    }

    /// Tables are built one after the other.
    fn is_listed_in(&self, table: u64) {
        if self.listed_in.swap(table, Ordering::Relaxed) + 1 < table {
            let after = u64::try_from(self.created.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.ready_after.store(after, Ordering::Relaxed);
        }
    }

    pub(super) fn outlier(&self) -> &Outlier {
        &self.outlier
    }

    /// Connections that wait to be used again.
    pub(super) fn idle_connections(&self) -> usize {
        self.pools.iter().map(Pool::idle_count).sum()
    }

    pub(super) fn enter(self: &Arc<Self>) -> Result<Lease, Draining> {
        let entered = |load: usize| (load & DRAINING == 0).then_some(load + 1);
        match self.load.fetch_update(Ordering::AcqRel, Ordering::Acquire, entered) {
            Ok(_) => Ok(Lease { upstream: Arc::clone(self), permit: None }),
            Err(_) => Err(Draining),
        }
    }

    /// Aborts `task` when the instance is closed.
    pub(super) fn cut_on_close(&self, task: AbortHandle) {
        self.pool().watch(task);
    }

    fn leave(&self) {
        if self.load.fetch_sub(1, Ordering::AcqRel) & !CLOSED == DRAINING + 1 {
            self.emptied.notify_waiters();
        }
    }

    /// How many leases had to be cut.
    async fn drain(&self, limit: Duration) -> usize {
        self.load.fetch_or(DRAINING, Ordering::AcqRel);
        let since = *lock(&self.draining_since).get_or_insert_with(tokio::time::Instant::now);
        self.pools.iter().for_each(Pool::close_idle);
        // Whether that was in time shows in what is still open then.
        let _ = tokio::time::timeout(limit.saturating_sub(since.elapsed()), self.until_empty()).await;
        let closed = |load: usize| (load & DRAINING != 0).then_some(load | CLOSED);
        match self.load.fetch_update(Ordering::AcqRel, Ordering::Acquire, closed) {
            Ok(before) => {
                self.pools.iter().for_each(Pool::close);
                before & !(DRAINING | CLOSED)
            }
            Err(_) => 0,
        }
    }

    /// Lets requests in again, if it has not been closed.
    fn call_back(&self) -> bool {
        let open = |load: usize| (load & CLOSED == 0).then_some(load & !DRAINING);
        let called_back = self.load.fetch_update(Ordering::AcqRel, Ordering::Acquire, open);
        if called_back.is_ok_and(|before| before & DRAINING != 0) {
            *lock(&self.draining_since) = None;
            self.emptied.notify_waiters();
        }
        called_back.is_ok()
    }

    /// Or until it is called back.
    async fn until_empty(&self) {
        loop {
            // Registered before the count is read, so that the last lease cannot slip in between.
            let mut emptied = std::pin::pin!(self.emptied.notified());
            emptied.as_mut().enable();
            let load = self.load.load(Ordering::Acquire);
            if load & DRAINING == 0 || load & !(DRAINING | CLOSED) == 0 {
                return;
            }
            emptied.await;
        }
    }

    fn close(&self) {
        self.load.fetch_or(DRAINING | CLOSED, Ordering::AcqRel);
        self.pools.iter().for_each(Pool::close);
    }

    /// That of the worker that asks.
    fn pool(&self) -> &Pool {
        &self.pools[workers::index() % self.pools.len()]
    }
}

/// How many idle connections each of so many pools may keep: the limit is for the instance, and nobody
/// has to open one for each request.
fn idle_room(limits: &Limits, pools: usize) -> usize {
    (limits.pool_size / pools).max(1)
}

impl Candidate for Upstream {
    fn identity(&self) -> u64 {
        self.identity
    }

    fn in_flight(&self) -> usize {
        Upstream::in_flight(self)
    }

    fn ready_since(&self) -> Instant {
        self.created + Duration::from_nanos(self.ready_after.load(Ordering::Relaxed))
    }

    fn is_healthy(&self, now: Instant) -> bool {
        !self.outlier.is_ejected(now)
    }
}

/// The right to use an instance. Dropping it is what ends the request.
#[derive(Debug)]
pub(super) struct Lease {
    upstream: Arc<Upstream>,
    /// The request's place among those of its service; a call by nobody's route has one, too.
    permit: Option<Permit>,
}

impl Lease {
    pub(super) fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// The request keeps its place in the service for as long as it keeps this instance.
    pub(super) fn keep(&mut self, permit: Permit) {
        self.permit = Some(permit);
    }

    /// A kept connection if there is one that still lives, else a new one.
    pub(super) async fn connection(&self, protocol: UpstreamProtocol) -> Result<Connection, ConnectError> {
        self.upstream.pool().connection(protocol).await
    }

    /// A connection that cannot have been closed while it was idle.
    pub(super) async fn another(&self, protocol: UpstreamProtocol) -> Result<Connection, ConnectError> {
        self.upstream.pool().another(protocol).await
    }

    pub(super) fn give_back(&self, connection: Connection) {
        if self.upstream.load.load(Ordering::Acquire) & DRAINING == 0 {
            self.upstream.pool().give_back(connection);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.upstream.leave();
    }
}

/// No code that holds one of these locks can leave its data half changed, so a panic elsewhere
/// does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
