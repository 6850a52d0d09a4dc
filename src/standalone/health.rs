//! Asks the endpoints how they are, each for itself, for as long as it is listed.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::fleet::Fleet;
use super::members::Member;
use crate::model::catalog::EndpointState;
use crate::model::instance::InstanceName;
use crate::model::standalone::ProbePolicy;
use crate::model::traffic::UpstreamProtocol;
use crate::probe;

/// What is asked, and of which kind of endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub policy: ProbePolicy,
    pub protocol: UpstreamProtocol,
}

impl Question {
    /// # Errors
    /// What came instead of a good answer.
    pub async fn ask(&self, address: SocketAddr) -> Result<(), String> {
        let patience = self.policy.timeout;
        match &self.policy.path {
            Some(path) => probe::get(address, self.protocol, path, patience).await,
            None => probe::connect(address, patience).await,
        }
    }
}

/// What the answers so far come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub ready: bool,
    /// Answers in a row that speak against it.
    against: u32,
}

impl Standing {
    #[must_use]
    pub fn new(ready: bool) -> Self {
        Self { ready, against: 0 }
    }

    /// After one more answer.
    #[must_use]
    pub fn after(self, passed: bool, policy: &ProbePolicy) -> Self {
        if passed == self.ready {
            return Self::new(self.ready);
        }
        let needed = if self.ready { policy.fall } else { policy.rise };
        let against = self.against + 1;
        if against >= needed { Self::new(passed) } else { Self { against, ..self } }
    }

    /// How long it takes until the next question: shorter where there is doubt.
    #[must_use]
    pub fn pause(self, policy: &ProbePolicy) -> Duration {
        if self.ready && self.against == 0 { policy.interval } else { policy.fast_interval }
    }
}

/// The tasks that ask, by endpoint.
#[derive(Debug, Default)]
pub struct Probes {
    running: HashMap<InstanceName, (Question, JoinHandle<()>)>,
}

impl Probes {
    /// From now on each of these is asked its question, and nobody else anything.
    pub(super) fn follow(&mut self, fleet: &Arc<Fleet>, asked: Vec<(Question, Member)>) {
        let mut before = std::mem::take(&mut self.running);
        for (question, member) in asked {
            let same = before.remove(&member.name).filter(|(running, _)| *running == question);
            let (question, task) = same.unwrap_or_else(|| {
                let asking = keep_asking(Arc::clone(fleet), member.clone(), question.clone());
                (question, tokio::spawn(asking))
            });
            self.running.insert(member.name, (question, task));
        }
        for (_, task) in before.into_values() {
            task.abort();
        }
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        for (_, task) in self.running.values() {
            task.abort();
        }
    }
}

async fn keep_asking(fleet: Arc<Fleet>, member: Member, question: Question) {
    let mut standing = Standing::new(member.state == EndpointState::Ready);
    for round in 0.. {
        sleep(jittered(standing.pause(&question.policy), &member.name, round)).await;
        let answer = question.ask(member.address).await;
        // That a connection is accepted says nothing about answers.
        if answer.is_ok() && question.policy.path.is_some() {
            fleet.vouch(&member.name);
        }
        let before = standing;
        standing = before.after(answer.is_ok(), &question.policy);
        if standing.ready != before.ready {
            tell(&member, &answer);
            let state = if standing.ready { EndpointState::Ready } else { EndpointState::Starting };
            fleet.judge(&member.name, state);
        }
    }
}

fn tell(member: &Member, answer: &Result<(), String>) {
    let Member { name, address, .. } = member;
    match answer {
        Ok(()) => tracing::info!(instance = %name, %address, "takes requests again"),
        Err(reason) => tracing::warn!(instance = %name, %address, reason, "is given no more requests"),
    }
}

/// Up to a tenth shorter or longer, so that many endpoints are not asked in step.
fn jittered(pause: Duration, name: &InstanceName, round: u64) -> Duration {
    let mut hasher = DefaultHasher::new();
    (name, round, std::process::id()).hash(&mut hasher);
    let thousandths = u32::try_from(hasher.finish() % 201).unwrap_or(100) + 900;
    pause * thousandths / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::instance::Generation;

    /// `+` is a pass, `-` a failure; gives `R` or `.` for each standing in between.
    fn check(ready: bool, answers: &str, expected: &str) {
        let policy = ProbePolicy { rise: 2, fall: 3, ..ProbePolicy::default() };
        let mut standing = Standing::new(ready);
        let shown = answers.chars().map(|answer| {
            standing = standing.after(answer == '+', &policy);
            if standing.ready { 'R' } else { '.' }
        });
        assert_eq!(shown.collect::<String>(), expected, "{answers}");
    }

    #[test]
    fn only_failures_in_a_row_take_an_endpoint_out() {
        check(true, "--+--+---", "RRRRRRRR.");
        check(true, "---", "RR.");
    }

    #[test]
    fn only_passes_in_a_row_bring_it_back() {
        check(false, "+-+-++", ".....R");
        check(false, "++--", ".RRR");
    }

    #[test]
    fn where_there_is_doubt_it_is_asked_more_often() {
        let policy = ProbePolicy::default();
        assert_eq!(Standing::new(true).pause(&policy), policy.interval);
        assert_eq!(Standing::new(true).after(false, &policy).pause(&policy), policy.fast_interval);
        assert_eq!(Standing::new(false).pause(&policy), policy.fast_interval);
    }

    #[test]
    fn endpoints_are_not_asked_in_step() {
        let name = |replica| InstanceName {
            service: "order".parse().unwrap(),
            generation: Generation::FIRST,
            replica,
        };
        let second = Duration::from_secs(1);
        let pauses: std::collections::BTreeSet<_> = (1..20).map(|n| jittered(second, &name(n), 0)).collect();
        assert!(pauses.len() > 10);
        assert!(pauses.iter().all(|pause| (900..=1100).contains(&pause.as_millis())));
    }
}
