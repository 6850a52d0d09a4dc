//! What is known about a service as a whole, whichever of its instances are there.
//!
//! Like an [`Upstream`](super::upstream::Upstream) it outlives route tables: counts, verdicts and
//! limits survive every swap, for as long as some table or request has the service, and the route.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use super::metrics::RouteName;
use super::policy::breaker::Breaker;
use super::policy::budget::{Full, Load};
use super::policy::limiter::Limiter;
use super::policy::outlier::Ejections;

#[derive(Debug)]
pub(super) struct ServiceState {
    /// The turn of round robin: a swap of tables does not send everybody back to the first instance.
    turn: AtomicUsize,
    pub(super) load: Load,
    pub(super) breaker: Breaker,
    pub(super) ejections: Ejections,
    limiters: Mutex<HashMap<RouteName, Weak<Limiter>>>,
}

/// The buckets of one route's clients.
#[derive(Debug, Clone)]
pub struct SharedLimiter(Arc<Limiter>);

/// One open request of the service, from its admission to the last byte of its response.
#[derive(Debug)]
pub(super) struct Permit(Arc<ServiceState>);

impl ServiceState {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            turn: AtomicUsize::new(0),
            load: Load::default(),
            breaker: Breaker::new(now),
            ejections: Ejections::default(),
            limiters: Mutex::default(),
        }
    }

    pub(super) fn next_turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// Nobody waits for a place: a queue would only make an overload last longer.
    pub(super) fn admit(self: &Arc<Self>, most: u32) -> Result<Permit, Full> {
        self.load.enter(most).map(|()| Permit(Arc::clone(self)))
    }

    /// The one limiter of a route, however often the table is made anew.
    pub(super) fn limiter(&self, route: &RouteName) -> SharedLimiter {
        let mut limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = limiters.get(route).and_then(Weak::upgrade) {
            return SharedLimiter(known);
        }
        limiters.retain(|_, limiter| limiter.strong_count() > 0);
        let limiter = Arc::new(Limiter::new(Instant::now()));
        limiters.insert(route.clone(), Arc::downgrade(&limiter));
        SharedLimiter(limiter)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.load.leave();
    }
}

impl std::ops::Deref for SharedLimiter {
    type Target = Limiter;

    fn deref(&self) -> &Limiter {
        &self.0
    }
}

/// The same buckets.
impl PartialEq for SharedLimiter {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_service_admits_again_when_a_request_has_ended() {
        let state = Arc::new(ServiceState::new(Instant::now()));
        let first = state.admit(2).unwrap();
        let _second = state.admit(2).unwrap();
        assert_eq!(state.admit(2).unwrap_err(), Full);
        drop(first);
        assert!(state.admit(2).is_ok());
    }

    #[test]
    fn a_route_keeps_its_buckets_and_shares_them_with_no_other() {
        let state = ServiceState::new(Instant::now());
        let route = |route: &str, methods: &str, hosts: &str| RouteName {
            service: "order".into(),
            route: route.into(),
            methods: methods.into(),
            hosts: hosts.into(),
        };
        let orders = state.limiter(&route("/orders", "", ""));
        assert!(orders == state.limiter(&route("/orders", "", "")));
        for other in
            [route("/products", "", ""), route("/orders", "GET", ""), route("/orders", "", "a.example")]
        {
            assert!(orders != state.limiter(&other), "{other:?}");
        }
    }

    #[test]
    fn buckets_that_no_table_has_are_not_kept() {
        let state = ServiceState::new(Instant::now());
        let route = |number: u32| RouteName { route: format!("/{number}").into(), ..RouteName::default() };
        let kept = state.limiter(&route(0));
        (1..100).for_each(|number| drop(state.limiter(&route(number))));
        assert!(state.limiters.lock().unwrap().len() <= 2);
        assert!(kept == state.limiter(&route(0)));
    }
}
