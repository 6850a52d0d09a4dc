//! What is known about a service as a whole, whichever of its instances are there.
//!
//! Like an [`Upstream`](super::upstream::Upstream) it outlives route tables.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug, Default)]
pub(super) struct ServiceState {
    /// The turn of round robin: a swap of tables does not send everybody back to the first instance.
    turn: AtomicUsize,
    open: AtomicUsize,
}

/// The service has as many open requests as it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// One open request of the service, from its admission to the last byte of its response.
#[derive(Debug)]
pub(super) struct Permit(Arc<ServiceState>);

impl ServiceState {
    pub(super) fn next_turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// Requests that are open, tunnels and bodies on their way included.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Nobody waits for a place: a queue would only make an overload last longer.
    pub(super) fn admit(self: &Arc<Self>, most: u32) -> Result<Permit, Full> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        if self.open.fetch_add(1, Ordering::AcqRel) < most {
            return Ok(Permit(Arc::clone(self)));
        }
        self.open.fetch_sub(1, Ordering::AcqRel);
        Err(Full)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_service_admits_again_when_a_request_has_ended() {
        let state = Arc::new(ServiceState::default());
        let first = state.admit(2).unwrap();
        let _second = state.admit(2).unwrap();
        assert_eq!(state.admit(2).unwrap_err(), Full);
        drop(first);
        assert!(state.admit(2).is_ok());
        assert_eq!(state.open(), 1);
    }
}
