//! When a new generation has taken over: pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::deployment::Outcome;
use crate::model::event::EventKind;
use crate::model::instance::Generation;
use crate::model::name::ServiceName;
use crate::plan::{Action, Plan, Step, StepId};

/// What is still missing of a plan until its services are live: every new instance takes requests, and
/// every one that it replaces takes none.
pub struct Arrivals(BTreeMap<ServiceName, Arrival>);

struct Arrival {
    generation: Generation,
    missing: BTreeSet<StepId>,
}

impl Arrivals {
    pub fn of(plan: &Plan) -> Self {
        let mut arrivals: BTreeMap<ServiceName, Arrival> = BTreeMap::new();
        for step in &plan.steps {
            if let Action::Admit(instance) = &step.action {
                let new = Arrival { generation: instance.generation, missing: BTreeSet::new() };
                arrivals.entry(step.service.clone()).or_insert(new);
            }
        }
        for step in plan.steps.iter().filter(|step| moves_traffic(step)) {
            if let Some(arrival) = arrivals.get_mut(&step.service) {
                arrival.missing.insert(step.id);
            }
        }
        Self(arrivals)
    }

    /// Takes note of a step that is done; gives what is to be said of it.
    pub fn note(&mut self, step: &Step) -> Option<EventKind> {
        let arrival = self.0.get_mut(&step.service)?;
        let was_missing = arrival.missing.remove(&step.id);
        (was_missing && arrival.missing.is_empty()).then(|| EventKind::DeploymentEnded {
            service: step.service.to_string(),
            generation: arrival.generation.number(),
            outcome: Outcome::Live,
        })
    }
}

fn moves_traffic(step: &Step) -> bool {
    matches!(step.action, Action::Admit(_) | Action::Withdraw(_))
}
