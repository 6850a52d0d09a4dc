//! `msctl history`: what became of each generation of each service, whether or not the platform runs.

use super::context::{Context, known_services};
use super::error::OpsError;
use crate::admin::client::{Client, ClientError};
use crate::model::deployment::{Deployment, Outcome};
use crate::platform::folder::StateFolder;
use crate::platform::history;

#[derive(Debug, Clone)]
pub struct Request {
    /// All if there is none.
    pub service: Option<String>,
    /// At most so many deployments.
    pub most: usize,
}

#[derive(Debug, Clone)]
pub struct Chronicle {
    pub platform: String,
    /// Newest first.
    pub deployments: Vec<Deployment>,
}

/// # Errors
/// When the history cannot be read, or the service is neither in the platform nor in its past.
pub async fn history(context: &Context, request: &Request) -> Result<Chronicle, OpsError> {
    let platform = context.identify()?;
    let folder = context.state(&platform)?;
    let mut deployments = history::latest(&folder, request.service.as_deref(), request.most)?;
    if deployments.is_empty()
        && let (Some(service), Ok(platform)) = (&request.service, context.load())
    {
        known_services(&platform, std::slice::from_ref(service))?;
    }
    interrupt(&mut deployments, &folder).await;
    Ok(Chronicle { platform: platform.name.to_string(), deployments })
}

/// What is under way in a process that is no more is so no more either.
async fn interrupt(deployments: &mut [Deployment], folder: &StateFolder) {
    let mut open = deployments.iter_mut().filter(|one| one.outcome == Outcome::UnderWay).peekable();
    if open.peek().is_none() {
        return;
    }
    if let Err(ClientError::NotRunning) = Client::new(&folder.socket()).status().await {
        open.for_each(|one| one.outcome = Outcome::Interrupted);
    }
}
