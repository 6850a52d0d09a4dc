//! Which runtime a platform runs on, and why.

use std::sync::Arc;

use super::context::Context;
use super::error::OpsError;
use crate::model::name::{PlatformId, Worktree};
use crate::platform::folder::StateFolder;
use crate::platform::running::Ground;
use crate::runtime::docker::Docker;
use crate::runtime::process::Process;
use crate::runtime::{Runtime, RuntimeError, RuntimeKind};

pub use crate::platform::watching::Watching;

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RuntimeChoice {
    /// Containers where an engine answers, local processes elsewhere.
    #[default]
    Auto,
    Docker,
    Process,
}

/// On which terms a platform process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terms {
    pub runtime: RuntimeChoice,
    pub watching: Watching,
}

/// Where a platform that runs nowhere is to run. What an earlier process left running there decides, where
/// the user does not.
///
/// # Errors
/// As [`take`], and when it would leave running instances behind on another runtime, or a process that
/// serves the platform under another name.
pub async fn choose(
    context: &Context,
    platform: &PlatformId,
    folder: &StateFolder,
    terms: Terms,
) -> Result<Ground, OpsError> {
    context.check_not_renamed(platform).await?;
    let (asked_for, other) = match terms.runtime {
        RuntimeChoice::Docker => (RuntimeKind::Docker, RuntimeKind::Process),
        RuntimeChoice::Process => (RuntimeKind::Process, RuntimeKind::Docker),
        RuntimeChoice::Auto => return choose_freely(context, platform, folder, terms).await,
    };
    if runs_on(context, platform, folder, other).await {
        return Err(OpsError::LeftElsewhere { runs_on: other, asked_for });
    }
    take(context, platform, folder, terms).await
}

async fn choose_freely(
    context: &Context,
    platform: &PlatformId,
    folder: &StateFolder,
    terms: Terms,
) -> Result<Ground, OpsError> {
    let ground = take(context, platform, folder, terms).await?;
    let is_left = ground.runtime.kind() == RuntimeKind::Docker
        && runs_on(context, platform, folder, RuntimeKind::Process).await
        && !runs_on(context, platform, folder, RuntimeKind::Docker).await;
    if !is_left {
        return Ok(ground);
    }
    let reason = "local processes, because some of the platform run already".to_owned();
    Ok(Ground { runtime: process(platform, folder)?, reason, ..ground })
}

/// Whether something of the platform runs there. Who does not answer is not known to.
async fn runs_on(context: &Context, platform: &PlatformId, folder: &StateFolder, kind: RuntimeKind) -> bool {
    if !folder.ran_on(&kind.to_string()) {
        return false;
    }
    let Ok(runtime) = of_kind(context, platform, folder, kind).await else { return false };
    let observed = runtime.observe().await.unwrap_or_default();
    observed.instances.iter().any(|instance| instance.state.is_running())
}

/// The runtime that is meant by these terms, whatever runs elsewhere.
///
/// # Errors
/// When the engine that was asked for does not answer. An address in DOCKER_HOST is asking.
pub(super) async fn take(
    context: &Context,
    platform: &PlatformId,
    folder: &StateFolder,
    terms: Terms,
) -> Result<Ground, OpsError> {
    let ground = |runtime, reason| {
        let docker_host = context.docker_host.clone();
        Ground { runtime, reason, docker_host, watching: terms.watching }
    };
    let containers = |runtime: Arc<dyn Runtime>| {
        let reason = format!("containers on {}", runtime.description());
        ground(runtime, reason)
    };
    match terms.runtime {
        RuntimeChoice::Process => {
            let runtime = process(platform, folder)?;
            Ok(ground(runtime, "local processes, as asked".to_owned()))
        }
        RuntimeChoice::Docker => {
            let runtime = docker(context, platform).await?;
            Ok(containers(runtime))
        }
        RuntimeChoice::Auto => match docker(context, platform).await {
            Ok(runtime) => Ok(containers(runtime)),
            // What it left in containers would be forgotten: only asking for it goes on without them.
            Err(error) if context.docker_host.is_some() || ran_on_docker(folder) => Err(error.into()),
            Err(error) => {
                let reason = format!("local processes, because {error}");
                Ok(ground(process(platform, folder)?, reason))
            }
        },
    }
}

/// Every runtime that may hold something of the platform: local processes always, containers where
/// an engine answers.
///
/// # Errors
/// When the engine that was named, or that the platform ran on last, does not answer.
pub async fn all(
    context: &Context,
    platform: &PlatformId,
    folder: &StateFolder,
) -> Result<Vec<Arc<dyn Runtime>>, OpsError> {
    let mut runtimes = Vec::new();
    match docker(context, platform).await {
        Ok(runtime) => runtimes.push(runtime),
        Err(error) if context.docker_host.is_some() || ran_on_docker(folder) => return Err(error.into()),
        Err(_) => {}
    }
    runtimes.push(process(platform, folder)?);
    Ok(runtimes)
}

/// The kind that a running platform names.
pub(super) fn kind(name: &str) -> RuntimeKind {
    if name == RuntimeKind::Process.to_string() { RuntimeKind::Process } else { RuntimeKind::Docker }
}

/// # Errors
/// When it does not answer.
pub(super) async fn of_kind(
    context: &Context,
    platform: &PlatformId,
    folder: &StateFolder,
    kind: RuntimeKind,
) -> Result<Arc<dyn Runtime>, RuntimeError> {
    match kind {
        RuntimeKind::Process => process(platform, folder),
        _ => docker(context, platform).await,
    }
}

fn ran_on_docker(folder: &StateFolder) -> bool {
    folder.ran_on(&RuntimeKind::Docker.to_string())
}

async fn docker(context: &Context, platform: &PlatformId) -> Result<Arc<dyn Runtime>, RuntimeError> {
    let docker = Docker::connect(platform.clone(), context.docker_host.as_deref()).await?;
    Ok(Arc::new(docker))
}

pub(super) fn process(platform: &PlatformId, folder: &StateFolder) -> Result<Arc<dyn Runtime>, RuntimeError> {
    Ok(Arc::new(Process::new(platform.clone(), folder.process())?))
}

/// Which engine answers, as a line for people.
///
/// # Errors
/// When none does.
pub async fn probe(context: &Context, platform: Option<&PlatformId>) -> Result<String, RuntimeError> {
    let id = match platform {
        Some(platform) => platform.clone(),
        // Connecting needs an identity, and nothing is done with it.
        None => PlatformId {
            name: "doctor".parse().expect("a valid name"),
            worktree: Worktree::from_hex("000000").expect("six digits"),
        },
    };
    Ok(Docker::connect(id, context.docker_host.as_deref()).await?.description())
}
