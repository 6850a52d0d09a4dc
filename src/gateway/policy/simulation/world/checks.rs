//! What has to hold after every event, and when all is over.

use super::{GREEDY, LIMIT, World};
use crate::gateway::policy::balance::Candidate;
use crate::gateway::policy::breaker::State;
use crate::gateway::policy::numbers::float;
use crate::gateway::policy::simulation::SEED;
use crate::model::traffic::OutlierPolicy;

impl World<'_> {
    pub(super) fn check(&self) {
        let policy = OutlierPolicy::default();
        let replicas = &self.parts.replicas;
        let ejected = replicas.iter().filter(|replica| replica.outlier.is_ejected(self.now())).count();
        let most = (policy.max_share * float(replicas.len())).max(1.0);
        self.insist(float(ejected) <= most, "no more are ejected than may be");
        let half_open = self.parts.breaker.state() == State::HalfOpen;
        self.insist(self.probes == usize::from(half_open), "one request probes, and only then");
    }

    pub(super) fn check_end(&self) {
        let busy: usize = self.parts.replicas.iter().map(Candidate::in_flight).sum();
        let left = (self.parts.load.open(), busy, self.parts.load.retries());
        self.insist(left == (0, 0, 0), "everything that began has ended");
        for (client, &admitted) in self.admitted.iter().enumerate() {
            let most =
                f64::from(LIMIT.requests) * self.scenario.length.as_secs_f64() + f64::from(LIMIT.burst);
            self.insist(float(admitted) <= most, "nobody gets more than the limit");
            self.insist(client == GREEDY || float(admitted) < 0.8 * most, "the polite are far from it");
        }
    }

    #[track_caller]
    pub(super) fn insist(&self, holds: bool, what: &str) {
        assert!(holds, "{what}, but not at {:?}; replay with {}={}", self.time, SEED, self.seed);
    }
}
