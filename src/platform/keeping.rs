//! What builds of a platform have left, and giving up what its budget does not hold. Nothing is
//! remembered for that: the images are found by their labels, who uses them by a look at the instances,
//! which generation was made from what by the history.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::folder::StateFolder;
use super::history;
use crate::build::{self, Builder, Kept, Role, Standing};
use crate::model::deployment::Deployment;
use crate::model::event::Failure;
use crate::model::instance::Program;
use crate::model::name::PlatformId;
use crate::model::observed::ObservedInstance;
use crate::model::platform::Budget;
use crate::model::usage::{Holding, HoldingKind};
use crate::runtime::{Discarded, Runtime};

/// How many deployments back anybody is expected to go.
const REMEMBERED: usize = 2_000;

pub struct Keeping {
    builder: Builder,
    runtimes: Vec<Arc<dyn Runtime>>,
    folder: StateFolder,
}

impl Keeping {
    /// Of the platform with this root, over all runtimes that may hold something of it. The engine, if
    /// there is one, comes first.
    ///
    /// # Panics
    /// Without any runtime.
    #[must_use]
    pub fn new(id: &PlatformId, root: &Path, folder: &StateFolder, runtimes: Vec<Arc<dyn Runtime>>) -> Self {
        let first = runtimes.first().expect("there are always local processes");
        // What other images are used in place of which does not matter to those that are there.
        let builder = Builder::new(id.clone(), root.to_owned(), BTreeMap::new(), Arc::clone(first));
        Self { builder, runtimes, folder: folder.clone() }
    }

    /// All that is kept: by service, what it is, and age.
    ///
    /// # Errors
    /// When a runtime, the artifacts or the history cannot be looked at.
    pub async fn holdings(&self) -> Result<Vec<Holding>, Failure> {
        let look = self.look().await?;
        Ok(look.kept.iter().map(|kept| look.show(kept)).collect())
    }

    /// Whether what a deployment ran is still there, on the first of the runtimes.
    ///
    /// # Errors
    /// When that runtime cannot be asked.
    pub async fn has(&self, deployment: &Deployment) -> Result<bool, Failure> {
        match deployment.recipe.program.clone() {
            Some(program) => Ok(self.builder.has(&program.into()).await?),
            None => Ok(false),
        }
    }

    /// Gives up what is beyond the budget, and gives what that was. What instances are made from stays.
    ///
    /// # Errors
    /// As [`Self::holdings`], and when something cannot be removed.
    pub async fn collect(&self, budget: &Budget) -> Result<Vec<Holding>, Failure> {
        let look = self.look().await?;
        let mut collected = Vec::new();
        for kept in build::collect(&look.kept, &look.standing, budget) {
            // The look is old by now, but the engine gives up nothing that is used.
            if self.builder.discard(kept).await? == Discarded::Yes {
                collected.push(look.show(kept));
            }
        }
        Ok(collected)
    }

    async fn look(&self) -> Result<Look, Failure> {
        let mut instances = Vec::new();
        for runtime in &self.runtimes {
            instances.extend(runtime.observe().await?.instances);
        }
        let folder = self.folder.clone();
        let read = move || history::latest(&folder, None, REMEMBERED);
        let deployments = tokio::task::spawn_blocking(read).await.expect("it neither panics nor is aborted");
        let failed =
            |error: history::HistoryError| Failure { message: error.to_string(), ..Failure::default() };
        let deployments = deployments.map_err(failed)?;
        let standing = standing(&instances, &deployments);
        Ok(Look { kept: self.builder.kept().await?, instances, deployments, standing })
    }
}

/// All that there is to know, at one moment.
struct Look {
    kept: Vec<Kept>,
    instances: Vec<ObservedInstance>,
    /// The newest first.
    deployments: Vec<Deployment>,
    standing: Standing,
}

impl Look {
    fn show(&self, kept: &Kept) -> Holding {
        Holding {
            service: kept.service.to_string(),
            what: match kept.role {
                Role::Image => HoldingKind::Image,
                Role::Base => HoldingKind::Base,
                Role::Artifact => HoldingKind::Artifact,
            },
            generations: self.generations(kept).into_iter().collect(),
            handle: kept.handle.clone(),
            names: kept.names.clone(),
            bytes: kept.size,
            made: kept.made,
            in_use: self.standing.uses(kept),
        }
    }

    fn generations(&self, kept: &Kept) -> BTreeSet<u32> {
        let deployed = self.deployments.iter().filter(|one| {
            let called = programs(one);
            one.service == kept.service.as_str() && kept.is_called(|name| called.iter().any(|it| it == name))
        });
        let running = self.instances.iter().filter(|one| {
            one.name.service == kept.service && one.program.as_deref() == Some(kept.handle.as_str())
        });
        let deployed = deployed.map(|one| one.generation);
        deployed.chain(running.map(|one| one.name.generation.number())).collect()
    }
}

fn standing(instances: &[ObservedInstance], deployments: &[Deployment]) -> Standing {
    let runs = |deployment: &&Deployment| {
        let of = |one: &ObservedInstance| {
            one.name.service.as_str() == deployment.service
                && one.name.generation.number() == deployment.generation
        };
        deployment.is_open() && instances.iter().any(of)
    };
    let live = deployments.iter().filter(runs).flat_map(programs);
    let in_use = instances.iter().filter_map(|one| one.program.clone()).chain(live).collect();
    let mut served: BTreeMap<String, SystemTime> = BTreeMap::new();
    for one in deployments.iter().filter(|one| one.was_live()) {
        for name in programs(one) {
            let latest = served.entry(name).or_insert(one.began);
            *latest = one.began.max(*latest);
        }
    }
    Standing { in_use, served }
}

/// By which handles and names the program of a deployment is known; none, where nobody told.
fn programs(deployment: &Deployment) -> Vec<String> {
    let recorded = deployment.recipe.program.clone();
    recorded.map(|program| build::names_of(&Program::from(program))).unwrap_or_default()
}

#[cfg(test)]
mod tests;
