//! `msctl routes`: what the gateway answers to, and which way a request takes.

use super::context::Context;
use super::error::OpsError;
use crate::admin::RouteRow;
use crate::admin::client::{Client, ClientError};
use crate::model::explanation::{Explanation, Question};
use crate::platform::sight;

/// The routes of the running platform, or those that the manifest would give it.
///
/// # Errors
/// When the manifest is invalid or the platform process does not answer properly.
pub async fn routes(context: &Context) -> Result<Vec<RouteRow>, OpsError> {
    let platform = context.load()?;
    match Client::new(&context.state(&platform.id)?.socket()).routes().await {
        Ok(rows) => Ok(rows),
        Err(ClientError::NotRunning) => Ok(sight::declared_routes(&platform)),
        Err(error) => Err(error.into()),
    }
}

/// Which way a request takes through the running platform, or would take by the manifest alone.
///
/// # Errors
/// As [`routes`], and when the question is no request.
pub async fn explain(context: &Context, question: &Question) -> Result<Explanation, OpsError> {
    let platform = context.load()?;
    match Client::new(&context.state(&platform.id)?.socket()).explain(question).await {
        Ok(explained) => Ok(explained?),
        Err(ClientError::NotRunning) => Ok(sight::explain_declared(&platform, question)?),
        Err(error) => Err(error.into()),
    }
}
