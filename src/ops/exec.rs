//! `msctl exec`: a command inside a running instance.

use super::context::{Context, chosen_services};
use super::error::OpsError;
use super::target;
use crate::runtime::ExecRequest;

/// Runs the command in the newest running instance of the service, and gives its exit code.
///
/// # Errors
/// When nothing of the service runs, or the runtime cannot run the command.
pub async fn exec(context: &Context, service: &str, request: &ExecRequest) -> Result<i32, OpsError> {
    let platform = context.identify()?;
    let services = chosen_services(context, &[service.to_owned()])?;
    let folder = context.state(&platform)?;
    for runtime in target::all(context, &platform, &folder).await? {
        let observed = runtime.observe().await?;
        let of_service = observed.instances.iter().filter(|seen| services.contains(&seen.name.service));
        let newest =
            of_service.filter(|seen| seen.state.is_running()).max_by_key(|seen| seen.name.generation);
        if let Some(instance) = newest {
            return Ok(runtime.exec(&instance.name, request).await?);
        }
    }
    Err(OpsError::NothingRuns { service: service.to_string() })
}
