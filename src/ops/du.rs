//! `msctl du`: what builds have left, and giving up what the budget does not hold. Whether or not the
//! platform is up, or an engine answers.

use std::path::Path;
use std::sync::Arc;

use super::context::Context;
use super::error::OpsError;
use super::target;
use crate::manifest;
use crate::model::usage::Usage;
use crate::platform::keeping::Keeping;
use crate::runtime::Runtime;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    Look,
    /// What is beyond the manifest's budget goes first.
    Collect,
}

/// # Errors
/// When what is there cannot be looked at, or not be removed.
pub async fn du(context: &Context, request: Request) -> Result<Usage, OpsError> {
    let id = context.identify()?;
    let folder = context.state(&id)?;
    let (runtimes, unseen) = match target::all(context, &id, &folder).await {
        Ok(runtimes) => (runtimes, None),
        // What is on this disk without the engine can be told all the same.
        Err(OpsError::Runtime(error)) if request == Request::Look && error.is_unreachable() => {
            let processes: Arc<dyn Runtime> = target::process(&id, &folder)?;
            (vec![processes], Some(error.to_string()))
        }
        Err(error) => return Err(error),
    };
    let manifest = manifest::find(&context.directory)?;
    let root = manifest.parent().unwrap_or(Path::new("/"));
    let root = root.canonicalize().map_err(OpsError::io(format!("find {}", root.display())))?;
    let keeping = Keeping::new(&id, &root, &folder, runtimes);
    let collected = match request {
        Request::Look => Vec::new(),
        Request::Collect => keeping.collect(&context.load()?.budget).await?,
    };
    Ok(Usage::of(id.name.to_string(), keeping.holdings().await?, collected, unseen))
}
