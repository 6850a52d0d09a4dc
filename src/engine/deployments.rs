//! What is told of deployments when they begin, and of those that come to nothing: pure.
//!
//! What becomes of the others follows from their steps ([`crate::model::history`]).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use crate::model::deployment::{Beginning, Cause, Outcome, Recipe, RecordedProgram, Stage};
use crate::model::desired::{Desired, DesiredService};
use crate::model::event::{EventKind, StepKind};
use crate::model::instance::{BuildDigest, Generation};
use crate::model::name::ServiceName;
use crate::model::path::Shown;
use crate::model::platform::ServiceSpec;
use crate::plan::{self, Action, Plan, Step};

/// How many of the files that were saved are named.
const NAMED: usize = 3;

/// Files of a service that were saved, up to a moment of rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Save {
    /// Some of them; none where it is not known which.
    pub paths: BTreeSet<PathBuf>,
    /// Whether there were more.
    pub has_more: bool,
    /// When the first of it was noticed.
    pub detected: Instant,
    /// When nothing more was happening.
    pub settled: Instant,
}

/// What a plan is told of beyond what it says itself.
pub struct Circumstances<'a> {
    pub desired: &'a Desired,
    /// The services of which this very version has failed before.
    pub failing: BTreeSet<ServiceName>,
    /// The services that were rolled back, and to what.
    pub pinned: BTreeMap<ServiceName, Generation>,
    /// The same moment on both clocks.
    pub now: (SystemTime, Instant),
}

#[derive(Debug, Default)]
pub struct Deployments {
    /// Saves of which nothing has come yet.
    saves: BTreeMap<ServiceName, Save>,
    /// Those that are being built or brought in.
    under_way: BTreeMap<ServiceName, UnderWay>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct UnderWay {
    digest: BuildDigest,
    generation: u32,
}

impl Deployments {
    pub fn saved(&mut self, service: ServiceName, save: Save) {
        match self.saves.get_mut(&service) {
            Some(known) => known.join(save),
            None => drop(self.saves.insert(service, save)),
        }
    }

    /// What a plan decides, whether it is begun now or not: builds that nothing came of are over, and what
    /// was saved and came to nothing is no cause of what comes later.
    pub fn decided(&mut self, plan: &Plan, at_work: &BTreeSet<ServiceName>) -> Vec<EventKind> {
        let brings_in = |step: &&Step| step.action.kind() <= StepKind::Admit;
        let coming: BTreeSet<&ServiceName> =
            plan.steps.iter().filter(brings_in).map(|step| &step.service).collect();
        let is_idle = |service: &ServiceName| !coming.contains(service) && !at_work.contains(service);
        let over: Vec<ServiceName> = self.under_way.keys().filter(|name| is_idle(name)).cloned().collect();
        self.saves.retain(|service, _| !is_idle(service));
        let ended = over.iter().filter_map(|service| {
            let ended = self.under_way.remove(service)?;
            Some(EventKind::DeploymentEnded {
                service: service.to_string(),
                generation: ended.generation,
                outcome: Outcome::Unchanged,
            })
        });
        ended.collect()
    }

    /// The deployments that begin with a part of `whole`, the plan that it is from. Of those that have begun
    /// with their build, it is known now what they are made of.
    pub fn begin(&mut self, part: &Plan, whole: &Plan, around: &Circumstances<'_>) -> Vec<EventKind> {
        let services: Vec<ServiceName> = part.services().into_iter().cloned().collect();
        let begun = services.into_iter().filter_map(|service| {
            let (generation, why) = arrival(whole, &service)?;
            let wanted = around.desired.services.get(&service)?;
            let known = UnderWay { digest: wanted.digest.clone(), generation: generation.number() };
            let before = self.under_way.insert(service, known.clone());
            Some(if before.is_some_and(|before| before == known) {
                let UnderWay { generation, .. } = known;
                EventKind::DeploymentMade {
                    service: wanted.spec.name.to_string(),
                    generation,
                    recipe: recipe(wanted),
                }
            } else {
                EventKind::DeploymentBegun(Box::new(self.beginning(wanted, generation, why, around)))
            })
        });
        begun.collect()
    }

    /// Its steps have told how it ended.
    pub fn ended(&mut self, service: &ServiceName) {
        self.under_way.remove(service);
    }

    fn beginning(
        &mut self,
        wanted: &DesiredService,
        generation: Generation,
        why: &plan::Cause,
        around: &Circumstances<'_>,
    ) -> Beginning {
        let name = &wanted.spec.name;
        let save = self.saves.remove(name);
        let cause = match why {
            _ if around.failing.contains(name) => Cause::TriedAgain,
            plan::Cause::FirstStart => Cause::FirstStart,
            plan::Cause::Restart(_) => Cause::RestartAskedFor,
            _ if around.pinned.contains_key(name) => Cause::RolledBack { to: around.pinned[name].number() },
            plan::Cause::Edited { fields, .. } => {
                Cause::ManifestChanged { fields: fields.fields().cloned().collect() }
            }
            _ => changed(save.as_ref(), &wanted.spec),
        };
        let (now, at) = around.now;
        let since = save.as_ref().map_or(Duration::ZERO, |save| at.saturating_duration_since(save.detected));
        let began = now.checked_sub(since).unwrap_or(now);
        let timings = save.iter().flat_map(|save| {
            let rest = save.settled.saturating_duration_since(save.detected);
            [(Stage::Detected, Duration::ZERO), (Stage::Debounced, rest)]
        });
        let (service, generation) = (name.to_string(), generation.number());
        Beginning { service, generation, cause, began, timings: timings.collect(), recipe: recipe(wanted) }
    }
}

impl Save {
    fn join(&mut self, later: Self) {
        self.paths.extend(later.paths);
        self.has_more |= later.has_more;
        self.detected = self.detected.min(later.detected);
        self.settled = self.settled.max(later.settled);
    }
}

fn recipe(wanted: &DesiredService) -> Recipe {
    let built = (!wanted.needs_build).then_some(wanted);
    Recipe {
        digest: Some(wanted.digest.0.clone()),
        hash: built.map(|wanted| wanted.hash.0.clone()),
        program: built.map(|wanted| RecordedProgram::from(&wanted.program)),
    }
}

/// The new generation of a service in a plan, and why there is one.
fn arrival<'p>(plan: &'p Plan, service: &ServiceName) -> Option<(Generation, &'p plan::Cause)> {
    let mut of_service = plan.steps.iter().filter(|step| step.service == *service);
    of_service.find_map(|step| match (&step.action, &step.cause) {
        // The same generation again, or more of it.
        (Action::Start(_), plan::Cause::Stopped(_) | plan::Cause::Scaled { .. }) => None,
        (Action::Start(instance), cause) => Some((instance.generation, cause)),
        _ => None,
    })
}

fn changed(save: Option<&Save>, service: &ServiceSpec) -> Cause {
    let Some(save) = save else { return Cause::Changed };
    // What is shared is named with its folder: `common/src/lib.rs`.
    let bases =
        || [service.folder.as_path()].into_iter().chain(service.shared.iter().filter_map(|it| it.parent()));
    let relative = |path: &PathBuf| {
        let inside = bases().find_map(|base| path.strip_prefix(base).ok());
        Shown(inside.unwrap_or(path)).to_string()
    };
    Cause::SourcesChanged {
        paths: save.paths.iter().take(NAMED).map(relative).collect(),
        more: save.paths.len().saturating_sub(NAMED),
        uncounted: save.has_more,
    }
}

#[cfg(test)]
mod tests;
