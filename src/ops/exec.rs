//! `msctl exec`: a command inside a running instance.

use super::context::{Context, known_service};
use super::error::OpsError;
use super::target;
use crate::runtime::ExecRequest;

/// Runs the command in the newest running instance of the service, and gives its exit code.
///
/// # Errors
/// When nothing of the service runs, or the runtime cannot run the command.
pub async fn exec(context: &Context, service: &str, request: &ExecRequest) -> Result<i32, OpsError> {
    let platform = context.load()?;
    let service = known_service(&platform, service)?;
    let folder = context.state(&platform)?;
    for runtime in target::all(context, &platform, &folder).await? {
        let observed = runtime.observe().await?;
        let of_service = observed.instances.iter().filter(|seen| seen.name.service == *service);
        let newest =
            of_service.filter(|seen| seen.state.is_running()).max_by_key(|seen| seen.name.generation);
        if let Some(instance) = newest {
            return Ok(runtime.exec(&instance.name, request).await?);
        }
    }
    Err(OpsError::NothingRuns { service: service.to_string() })
}
