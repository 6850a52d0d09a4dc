//! The body of the detached process: a platform that serves until it is told to stop, or until
//! another process takes over.

use std::sync::Arc;

use super::context::Context;
use super::detached::{self, Replaced};
use super::error::OpsError;
use super::target::{self, RuntimeChoice, Terms};
use super::up::Interrupts;
use crate::model::platform::Platform;
use crate::platform::doors::Doors;
use crate::platform::folder::StateFolder;
use crate::platform::running::Running;
use crate::platform::succession::Legacy;
use crate::runtime::RuntimeKind;

/// How a platform process begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    Fresh,
    /// By taking over from the one that runs; fresh, if none does.
    TakingOver,
}

/// Serves until somebody at the admin door ends it, or another process has taken over.
///
/// # Errors
/// When it could not be started.
pub async fn host(
    context: &Context,
    terms: Terms,
    beginning: Beginning,
    interrupts: &mut dyn Interrupts,
) -> Result<(), OpsError> {
    let started = start(context, terms, beginning).await;
    detached::report(started.as_ref().map(|(_, replaced)| replaced.as_ref()));
    let (running, _) = started?;
    loop {
        let newcomer = tokio::select! {
            () = running.asked_to_stop() => break,
            // Nobody has asked for anything, so nothing here is its own to remove.
            () = running.abandoned() => return Ok(()),
            () = interrupts.next() => break,
            newcomer = running.newcomer() => newcomer,
        };
        if let Some(successor) = running.give_way(newcomer).await {
            tokio::select! {
                () = running.depart(successor) => {}
                () = interrupts.next() => {}
            }
            return Ok(());
        }
    }
    running.stop().await;
    Ok(())
}

async fn start(
    context: &Context,
    terms: Terms,
    beginning: Beginning,
) -> Result<(Running, Option<Replaced>), OpsError> {
    let platform = Arc::new(context.load()?);
    let folder: StateFolder = context.state(&platform.id)?;
    if beginning == Beginning::TakingOver
        && let Some(legacy) = Legacy::ask(&folder).await?
    {
        return take_over(context, platform, &folder, legacy).await;
    }
    let lock = folder.lock()?;
    let ground = target::choose(context, &platform.id, &folder, terms).await?;
    let doors = Doors::bind(&platform, &folder, lock)?.with_post(&folder);
    Ok((Running::start(platform, &folder, doors, ground).await?, None))
}

/// Goes on where the other one runs, wherever that is.
async fn take_over(
    context: &Context,
    platform: Arc<Platform>,
    folder: &StateFolder,
    legacy: Legacy,
) -> Result<(Running, Option<Replaced>), OpsError> {
    let replaced = Replaced { pid: legacy.pid(), program: legacy.program().to_owned() };
    let note = &legacy.note;
    let context = Context { docker_host: note.docker_host.clone(), ..context.clone() };
    let on_docker = note.runtime == RuntimeKind::Docker.to_string();
    let runtime = if on_docker { RuntimeChoice::Docker } else { RuntimeChoice::Process };
    let terms = Terms { runtime, watching: note.watching };
    let mut ground = target::take(&context, &platform.id, folder, terms).await?;
    ground.reason.clone_from(&note.reason);
    let doors = legacy.doors(&platform, folder)?;
    Ok((Running::start(platform, folder, doors, ground).await?, Some(replaced)))
}
