//! `msctl routes`: what the gateway answers to.

use super::context::Context;
use super::error::OpsError;
use crate::admin::RouteRow;
use crate::admin::client::{Client, ClientError};
use crate::platform::control;

/// The routes of the running platform, or those that the manifest would give it.
///
/// # Errors
/// When the manifest is invalid or the platform process does not answer properly.
pub async fn routes(context: &Context) -> Result<Vec<RouteRow>, OpsError> {
    let platform = context.load()?;
    match Client::new(&context.state(&platform.id)?.socket()).routes().await {
        Ok(rows) => Ok(rows),
        Err(ClientError::NotRunning) => Ok(control::declared_routes(&platform)),
        Err(error) => Err(error.into()),
    }
}
