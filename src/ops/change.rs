//! Asking a running platform for a change, and passing on what happens meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{Stream, StreamExt};

use super::context::{Context, known_service, known_services};
use super::detached::{self, Replaced};
use super::error::OpsError;
use super::patience::Patience;
use crate::admin::client::{Client, ClientError};
use crate::admin::{Change, Message};
use crate::model::event::Event;
use crate::model::outcome::Outcome;
use crate::platform::folder::FolderError;

/// Takes events as they come.
pub type EventSink<'a> = &'a mut (dyn FnMut(&Event) + Send);

/// Runs other numbers of instances than the manifest says.
///
/// # Errors
/// When a service is unknown, or the platform does not run.
pub async fn scale(
    context: &Context,
    replicas: &[(String, u16)],
    tell: EventSink<'_>,
) -> Result<Outcome, OpsError> {
    let platform = context.load()?;
    let mut wanted = BTreeMap::new();
    for (name, count) in replicas {
        wanted.insert(known_service(&platform, name)?.to_string(), *count);
    }
    let messages = context.client(&platform.id)?.change(&Change::Scale { replicas: wanted }).await?;
    follow(messages, tell).await
}

/// Replaces the instances of some services, or of all, without a gap.
///
/// # Errors
/// When a service is unknown, or the platform does not run.
pub async fn restart(
    context: &Context,
    services: &[String],
    tell: EventSink<'_>,
) -> Result<Outcome, OpsError> {
    let (client, services) = chosen(context, services)?;
    follow(client.change(&Change::Restart { services }).await?, tell).await
}

/// As [`restart`], and by the sources as they are, whatever was rolled back.
///
/// # Errors
/// When a service is unknown, or the platform does not run.
pub async fn redeploy(
    context: &Context,
    services: &[String],
    tell: EventSink<'_>,
) -> Result<Outcome, OpsError> {
    let (client, services) = chosen(context, services)?;
    follow(client.change(&Change::Redeploy { services }).await?, tell).await
}

/// Those that are named, or all.
fn chosen(context: &Context, services: &[String]) -> Result<(Client, BTreeSet<String>), OpsError> {
    let platform = context.load()?;
    let named = known_services(&platform, services)?;
    let chosen = if named.is_empty() {
        platform.services.keys().map(ToString::to_string).collect()
    } else {
        named.iter().map(ToString::to_string).collect()
    };
    Ok((context.client(&platform.id)?, chosen))
}

/// Replaces the process that runs the platform by a new one, and nothing else.
///
/// # Errors
/// When the platform does not run, or its process cannot be replaced; then it goes on.
pub async fn restart_process(context: &Context) -> Result<Option<Replaced>, OpsError> {
    let platform = context.load()?;
    let folder = context.state(&platform.id)?;
    context.client(&platform.id)?.status().await?;
    match detached::replace(context, &platform, &folder).await {
        Err(OpsError::Folder(FolderError::Locked { holder })) => Err(OpsError::CannotReplace { holder }),
        replaced => replaced,
    }
}

/// Passes events on until the outcome or the refusal comes.
pub async fn follow(
    messages: impl Stream<Item = Result<Message, ClientError>>,
    tell: EventSink<'_>,
) -> Result<Outcome, OpsError> {
    let mut messages = std::pin::pin!(messages);
    let mut patience = Patience::default();
    loop {
        let message = tokio::select! {
            biased;
            // Dropping the wait loses nothing: a message is in the stream until it is taken.
            message = messages.next() => message,
            () = patience.over() => return Err(OpsError::EngineGone),
        };
        let Some(message) = message else { return Err(ClientError::NotRunning.into()) };
        match message? {
            Message::Event(event) => {
                patience.note(&event);
                tell(&event);
            }
            Message::Outcome(outcome) => return Ok(outcome),
            Message::Refused(refusal) => return Err(refusal.into()),
        }
    }
}
