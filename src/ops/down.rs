//! `msctl down`: removes everything that carries the platform's label, and proves it by looking. Images
//! are no exception: what a platform that is down leaves on the engine is data, and nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt;

use super::change::EventSink;
use super::context::Context;
use super::error::OpsError;
use super::target;
use crate::admin::Message;
use crate::admin::client::{Client, ClientError};
use crate::auth;
use crate::manifest;
use crate::model::name::PlatformId;
use crate::model::observed::{Observed, Resource, ResourceKind};
use crate::model::outcome::Outcome;
use crate::model::platform::Platform;
use crate::platform::folder::{self, Lock, StateFolder};
use crate::platform::history;
use crate::platform::teardown;
use crate::runtime::{DataFate, Runtime};

/// What was there and is there no more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    pub instances: usize,
    pub resources: Vec<Resource>,
    /// Kept on purpose: the services' data.
    pub kept: Vec<Resource>,
    /// Whether the accounts of the embedded auth were deleted.
    pub accounts: bool,
}

/// Removes whatever runs from this folder: under the name that the manifest has now, and under any
/// that it had. A manifest that is invalid is no obstacle.
///
/// # Errors
/// When something could not be removed, or is still there afterwards.
pub async fn down(context: &Context, data: DataFate, tell: EventSink<'_>) -> Result<Removed, OpsError> {
    let platform = context.load().ok();
    let mut removed = Removed::default();
    for id in identities(context)? {
        let known = platform.as_ref().filter(|platform| platform.id == id);
        take_down(context, &id, known, data, &mut removed, tell).await?;
    }
    Ok(removed)
}

async fn take_down(
    context: &Context,
    id: &PlatformId,
    platform: Option<&Platform>,
    data: DataFate,
    removed: &mut Removed,
    tell: EventSink<'_>,
) -> Result<(), OpsError> {
    let folder = context.state(id)?;
    removed.instances += stop_process(&folder, tell).await?;
    // Held until the proof is given, so that nobody starts what is just being removed.
    let _lock = lock_when_free(&folder).await?;
    for runtime in target::all(context, id, &folder).await? {
        clear(platform, &folder, &runtime, data, removed, tell).await?;
    }
    folder.forget_runtimes();
    if let Err(error) = history::close(&folder) {
        tracing::warn!("the history does not say that everything was stopped: {error}");
    }
    if data == DataFate::Delete {
        removed.accounts |= auth::delete_accounts(&folder.auth())?;
        folder.delete_failures()?;
    }
    Ok(())
}

/// What `down` would remove.
///
/// # Errors
/// When a runtime cannot be looked at.
pub async fn plan(context: &Context, data: DataFate) -> Result<Vec<String>, OpsError> {
    let mut lines = Vec::new();
    for id in identities(context)? {
        let folder = context.state(&id)?;
        for runtime in target::all(context, &id, &folder).await? {
            let (observed, resources) = tokio::try_join!(runtime.observe(), runtime.resources())?;
            lines.extend(observed.instances.iter().map(|instance| format!("stop+remove  {}", instance.name)));
            let going = resources.iter().filter(|resource| !is_kept(resource, data));
            lines.extend(going.map(|resource| format!("remove       {} {}", resource.kind, resource.name)));
        }
    }
    Ok(lines)
}

/// Every identity that the platform in this folder has, or had and left state under.
fn identities(context: &Context) -> Result<BTreeSet<PlatformId>, OpsError> {
    let manifest = manifest::find(&context.directory)?;
    let mut known: BTreeSet<PlatformId> = context.identify().into_iter().collect();
    if let Some(worktree) = manifest::worktree(&manifest) {
        known.extend(folder::of_worktree(&context.state_base()?, &worktree));
    }
    // Nothing to go by: the manifest's own error says why.
    if known.is_empty() { Ok(BTreeSet::from([context.load()?.id])) } else { Ok(known) }
}

/// Has the platform process, if there is one, drain and remove what it runs, and end.
async fn stop_process(folder: &StateFolder, tell: EventSink<'_>) -> Result<usize, OpsError> {
    let mut messages = match Client::new(&folder.socket()).stop().await {
        Ok(messages) => Box::pin(messages),
        Err(ClientError::NotRunning) => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    let mut removed = BTreeSet::new();
    while let Some(message) = messages.next().await {
        // A stream that breaks off is a process that ended: whatever it left is cleared next.
        let Ok(Message::Event(event)) = message else { break };
        removed.extend(event.removed_instance().map(str::to_owned));
        tell(&event);
    }
    Ok(removed.len())
}

async fn lock_when_free(folder: &StateFolder) -> Result<Lock, OpsError> {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        match folder.lock() {
            Ok(lock) => return Ok(lock),
            Err(error) if tokio::time::Instant::now() >= deadline => return Err(error.into()),
            // The kernel tells nobody when a lock becomes free; the process is about to end.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    }
}

async fn clear(
    platform: Option<&Platform>,
    folder: &StateFolder,
    runtime: &Arc<dyn Runtime>,
    data: DataFate,
    removed: &mut Removed,
    tell: EventSink<'_>,
) -> Result<(), OpsError> {
    let (outcome, instances): (Outcome, usize) =
        teardown::let_go(platform, folder, Arc::clone(runtime), tell).await?;
    removed.instances += instances;
    removed.resources.extend(runtime.tear_down(data).await?);
    let (after, kept) = tokio::try_join!(runtime.observe(), runtime.resources())?;
    let left = leftovers(&after, &kept, data);
    if !left.is_empty() {
        let reasons = outcome.failed.into_values().map(|failure| failure.message);
        return Err(OpsError::Leftovers { left: left.into_iter().chain(reasons).collect() });
    }
    removed.kept.extend(kept);
    Ok(())
}

fn leftovers(observed: &Observed, resources: &[Resource], data: DataFate) -> Vec<String> {
    let instances = observed.instances.iter().map(|instance| instance.name.to_string());
    let resources = resources.iter().filter(|resource| !is_kept(resource, data));
    instances.chain(resources.map(|resource| format!("{} {}", resource.kind, resource.name))).collect()
}

fn is_kept(resource: &Resource, data: DataFate) -> bool {
    resource.kind == ResourceKind::Volume && data == DataFate::Keep
}
