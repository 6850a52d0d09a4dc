//! Who waits for a change, and for which services.

use std::collections::BTreeSet;

use tokio::sync::oneshot;

use super::state::State;
use crate::model::name::ServiceName;
use crate::model::outcome::Outcome;

#[derive(Default)]
pub(super) struct Waiters(Vec<Waiter>);

pub(super) struct Waiter {
    /// What was asked for; `None` is everything.
    services: Option<BTreeSet<ServiceName>>,
    done: oneshot::Sender<Outcome>,
}

impl Waiters {
    pub fn add(&mut self, services: Option<BTreeSet<ServiceName>>, done: oneshot::Sender<Outcome>) {
        self.0.push(Waiter { services, done });
    }

    /// Those for whom nothing is left to do; they wait no more.
    pub fn settled(&mut self, state: &State) -> Vec<Waiter> {
        let is_settled = |waiter: &Waiter| match &waiter.services {
            Some(services) => state.is_settled_for(services),
            None => !state.is_executing(),
        };
        let (settled, open) = std::mem::take(&mut self.0).into_iter().partition(is_settled);
        self.0 = open;
        settled
    }
}

impl Waiter {
    /// Tells how it went, as far as that was asked for.
    pub fn tell(self, outcome: &Outcome) {
        let outcome = match &self.services {
            Some(services) => outcome.of(&services.iter().map(ServiceName::as_str).collect()),
            None => outcome.clone(),
        };
        // Who has gone away needs no answer.
        let _ = self.done.send(outcome);
    }
}
