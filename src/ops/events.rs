//! `msctl events`: what happens on a running platform, as its process tells it.

use std::collections::BTreeSet;
use std::time::SystemTime;

use futures_util::{Stream, StreamExt};

use super::context::{Chosen, Context, chosen_services};
use super::error::OpsError;
use crate::admin::Message;
use crate::admin::client::{ClientError, Extent};
use crate::model::event::{Event, EventKind};

#[derive(Debug, Clone)]
pub struct Request {
    /// Only what is about these; everything if empty.
    pub services: Vec<String>,
    pub since: Option<SystemTime>,
    pub extent: Extent,
}

/// Why a stream of events is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nothing more was wanted, or the platform was stopped.
    Done,
    /// Another process goes on.
    Replaced,
    /// The process is gone, and nobody has told why.
    Gone,
}

/// Hands events to `take` until there are no more, or it says false: with [`Extent::Past`] those that
/// are remembered, else until the platform is stopped. Where another process takes over, its events are
/// the next ones.
///
/// # Errors
/// When a service is unknown, the platform does not run, or its process ends without a word.
pub async fn events(
    context: &Context,
    request: &Request,
    take: &mut (dyn FnMut(&Event) -> bool + Send),
) -> Result<(), OpsError> {
    let client = context.client(&context.identify()?)?;
    let wanted = Wanted::of(context, request)?;
    loop {
        let messages = client.events(request.extent).await?;
        match pass(messages, &wanted, take).await? {
            End::Gone if request.extent == Extent::PastAndFuture => {
                return Err(ClientError::NotRunning.into());
            }
            End::Replaced if request.extent == Extent::PastAndFuture => {}
            _ => return Ok(()),
        }
    }
}

async fn pass(
    messages: impl Stream<Item = Result<Message, ClientError>>,
    wanted: &Wanted,
    take: &mut (dyn FnMut(&Event) -> bool + Send),
) -> Result<End, ClientError> {
    let mut messages = std::pin::pin!(messages);
    let mut end = End::Gone;
    while let Some(message) = messages.next().await {
        let event = match message {
            Ok(Message::Event(event)) => event,
            Ok(_) => continue,
            // A process that is killed breaks off in the middle.
            Err(ClientError::Broken { .. }) => break,
            Err(error) => return Err(error),
        };
        if wanted.includes(&event) && !take(&event) {
            return Ok(End::Done);
        }
        match event.kind {
            EventKind::Stopping => end = End::Done,
            // The old process may go on for long, and has nothing more to tell.
            EventKind::Replaced => return Ok(End::Replaced),
            _ => {}
        }
    }
    Ok(end)
}

struct Wanted {
    /// `None` is all, and what is about none.
    services: Option<BTreeSet<String>>,
    since: Option<SystemTime>,
}

impl Wanted {
    fn of(context: &Context, request: &Request) -> Result<Self, OpsError> {
        let services = match chosen_services(context, &request.services)? {
            Chosen::These(services) if !request.services.is_empty() => {
                Some(services.iter().map(ToString::to_string).collect())
            }
            _ => None,
        };
        Ok(Self { services, since: request.since })
    }

    fn includes(&self, event: &Event) -> bool {
        let is_about = |services: &BTreeSet<String>| {
            event.kind.services().into_iter().any(|service| services.contains(service))
        };
        self.since.is_none_or(|since| event.at >= since) && self.services.as_ref().is_none_or(is_about)
    }
}
