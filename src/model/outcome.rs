//! How things stand once a change has been carried out. Its JSON form travels over the admin socket.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::event::Failure;
use super::exit::ExitCode;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Services that take requests.
    pub ready: Vec<String>,
    /// Services that do not do what was asked, and why. An earlier version of one may still serve.
    pub failed: BTreeMap<String, Failure>,
    /// Why the runtime could not be looked at, where it could not.
    pub blind: Option<Failure>,
}

impl Outcome {
    /// As far as these services go.
    #[must_use]
    pub fn of(&self, services: &BTreeSet<&str>) -> Self {
        let is_meant = |service: &str| services.contains(service);
        let ready = self.ready.iter().filter(|service| is_meant(service));
        let failed = self.failed.iter().filter(|(service, _)| is_meant(service));
        Self {
            ready: ready.cloned().collect(),
            failed: failed.map(|(service, failure)| (service.clone(), failure.clone())).collect(),
            blind: self.blind.clone(),
        }
    }

    /// Services whose earlier version serves on, because the one that was asked for has failed.
    pub fn kept(&self) -> impl Iterator<Item = &str> {
        self.failed.keys().filter(|service| self.ready.contains(service)).map(String::as_str)
    }

    /// The exit code of a command that waited for this. What never gets ready is still awaited where
    /// nothing else of it serves, and has failed where something does.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        let mut failures = self.failed.values().peekable();
        if self.blind.is_some() || self.failed.values().any(|failure| failure.engine_lost) {
            ExitCode::EngineUnreachable
        } else if failures.peek().is_none() {
            ExitCode::Ok
        } else if failures.all(|failure| failure.timed_out) && self.kept().next().is_none() {
            ExitCode::TimedOut
        } else {
            ExitCode::Unhealthy
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(failures: &[Failure]) -> Outcome {
        let failed = failures.iter().enumerate().map(|(index, failure)| (index.to_string(), failure.clone()));
        Outcome { failed: failed.collect(), ..Outcome::default() }
    }

    #[test]
    fn the_exit_code_says_what_kind_of_failure_it_was() {
        let late = Failure { timed_out: true, ..Failure::default() };
        let lost = Failure { engine_lost: true, ..Failure::default() };
        let broken = Failure::default();
        assert_eq!(Outcome::default().exit_code(), ExitCode::Ok);
        assert_eq!(failed(std::slice::from_ref(&late)).exit_code(), ExitCode::TimedOut);
        assert_eq!(failed(&[late.clone(), broken]).exit_code(), ExitCode::Unhealthy);
        assert_eq!(failed(&[late, lost]).exit_code(), ExitCode::EngineUnreachable);
        let kept = Outcome {
            ready: vec!["0".to_owned()],
            ..failed(&[Failure { timed_out: true, ..Failure::default() }])
        };
        assert_eq!(kept.exit_code(), ExitCode::Unhealthy);
        assert_eq!(kept.of(&BTreeSet::from(["1"])), Outcome::default(), "others are not asked about");
        assert_eq!(kept.of(&BTreeSet::from(["0"])), kept);
        let blind = Outcome { blind: Some(Failure::default()), ..Outcome::default() };
        assert_eq!(blind.exit_code(), ExitCode::EngineUnreachable);
    }
}
