//! `msctl up`: makes the platform run, here or detached, or changes the one that runs already.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt;

use super::change::follow;
use super::context::{Context, known_services};
use super::detached::{self, Arrival, OtherBuild};
use super::error::OpsError;
use super::patience::Patience;
use super::target::{self, RuntimeChoice, Terms};
use crate::admin::Change;
use crate::admin::client::{Client, ClientError};
use crate::model::event::Event;
use crate::model::exit::ExitCode;
use crate::model::outcome::Outcome;
use crate::model::platform::Platform;
use crate::platform::doors::Doors;
use crate::platform::folder::{FolderError, Lock, StateFolder};
use crate::platform::mooring;
use crate::platform::preview;
use crate::platform::running::Running;
use crate::platform::watching::Watching;
use crate::runtime::RuntimeKind;

#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Only these and what they call; all if empty.
    pub services: Vec<String>,
    pub terms: Terms,
}

/// Where the platform answers, and how it was brought to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    pub platform: String,
    pub url: String,
    /// The address in the manifest, where that is another platform's.
    pub elsewhere: Option<String>,
    /// Which runtime, and why.
    pub runtime: String,
    /// Whether what is saved is deployed.
    pub watching: Watching,
    /// Whether that is not what was asked for, because it ran already.
    pub stays: bool,
    pub manner: Manner,
    pub other_build: Option<OtherBuild>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It ends with this command.
    Attached,
    /// It goes on by itself.
    Detached,
    /// It ran already, in another process.
    Joined,
}

/// What a foreground platform tells its terminal.
pub trait Audience: Send {
    fn greet(&mut self, greeting: &Greeting);
    fn tell(&mut self, event: &Event);
    /// The first round is over; the platform goes on.
    fn settled(&mut self, outcome: &Outcome);
}

/// Completes when the user wants to end it: the first time politely, then for good.
#[async_trait::async_trait]
pub trait Interrupts: Send {
    async fn next(&mut self);
}

/// Text of the plan that `up` would carry out now.
///
/// # Errors
/// When the platform or its runtime cannot be looked at.
pub async fn plan(context: &Context, request: &Request) -> Result<String, OpsError> {
    let platform = Arc::new(context.load()?);
    let only = selection(&platform, request)?;
    let folder = context.state(&platform.id)?;
    match Client::new(&folder.socket()).plan(only.clone()).await {
        Ok(answer) => return Ok(answer?),
        Err(ClientError::NotRunning) => {}
        Err(error) => return Err(error.into()),
    }
    let ground = target::choose(context, &platform.id, &folder, request.terms).await?;
    let only =
        only.map(|names| names.iter().map(|name| name.parse()).collect::<Result<_, _>>()).transpose()?;
    Ok(preview::plan(platform, &folder, ground.runtime, only).await?.to_string())
}

/// Brings the platform up and leaves it running without this process.
///
/// # Errors
/// When it could not be started; services that fail are part of the outcome.
pub async fn detached(
    context: &Context,
    request: &Request,
    audience: &mut dyn Audience,
    interrupts: &mut dyn Interrupts,
) -> Result<Outcome, OpsError> {
    let platform = context.load()?;
    let only = selection(&platform, request)?;
    let folder = context.state(&platform.id)?;
    let client = Client::new(&folder.socket());
    let joined = async {
        loop {
            let arrival = detached::ensure(context, &platform, &folder, request.terms, &client).await?;
            match join(&client, arrival, request.terms, only.clone(), audience).await {
                // Somebody has asked it to stop: there is another one once it has.
                Err(error) if error.is_of_an_end() => detached::await_end(&folder).await?,
                outcome => return outcome,
            }
        }
    };
    tokio::select! {
        outcome = joined => outcome,
        // The platform process goes on by itself; only the waiting is given up.
        () = interrupts.next() => Err(OpsError::Cancelled),
    }
}

/// Runs the platform in this process until the user or somebody at the admin door ends it. A
/// platform that runs already in another process is changed there instead.
///
/// # Errors
/// When it could not be started.
pub async fn attached(
    context: &Context,
    request: &Request,
    audience: &mut dyn Audience,
    interrupts: &mut dyn Interrupts,
) -> Result<Outcome, OpsError> {
    let platform = Arc::new(context.load()?);
    let only = selection(&platform, request)?;
    let folder = context.state(&platform.id)?;
    let client = Client::new(&folder.socket());
    let arriving = arrive(&folder, &client, request.terms, only.as_ref(), audience);
    let lock = tokio::select! {
        arrived = arriving => match arrived? {
            Attached::Here(lock) => lock,
            Attached::Joined(outcome) => return Ok(outcome),
        },
        // It goes on where it runs; only the waiting is given up.
        () = interrupts.next() => return Err(OpsError::Cancelled),
    };
    let starting = async {
        let ground = target::choose(context, &platform.id, &folder, request.terms).await?;
        let reason = ground.reason.clone();
        let doors = Doors::bind(&platform, &folder, lock)?;
        let running = Running::start(Arc::clone(&platform), &folder, doors, ground).await?;
        Ok::<_, OpsError>((running, reason))
    };
    let (running, reason) = tokio::select! {
        started = starting => started?,
        () = interrupts.next() => return Err(OpsError::Cancelled),
    };
    audience.greet(&Greeting {
        platform: platform.title(),
        url: running.url().to_owned(),
        elsewhere: mooring::left(&platform, running.url()).map(|wanted| wanted.to_string()),
        runtime: reason,
        watching: request.terms.watching,
        stays: false,
        manner: Manner::Attached,
        other_build: None,
    });
    serve(running, only, audience, interrupts).await
}

/// Where an attached platform turned out to run.
enum Attached {
    /// In this process, which has the lock.
    Here(Lock),
    /// In another one, which has been changed.
    Joined(Outcome),
}

async fn arrive(
    folder: &StateFolder,
    client: &Client,
    terms: Terms,
    only: Option<&BTreeSet<String>>,
    audience: &mut dyn Audience,
) -> Result<Attached, OpsError> {
    loop {
        match folder.lock() {
            Ok(lock) => return Ok(Attached::Here(lock)),
            Err(FolderError::Locked { .. }) => detached::await_holder(client, folder).await?,
            Err(error) => return Err(error.into()),
        }
        match join(client, Manner::Joined.into(), terms, only.cloned(), audience).await {
            // It has ended, or somebody has asked it to.
            Err(error) if error.is_of_an_end() => detached::await_end(folder).await?,
            outcome => return outcome.map(Attached::Joined),
        }
    }
}

/// Follows the platform in this process from its first change to its end.
async fn serve(
    running: Running,
    only: Option<BTreeSet<String>>,
    audience: &mut dyn Audience,
    interrupts: &mut dyn Interrupts,
) -> Result<Outcome, OpsError> {
    let control = running.control();
    let mut events = control.events(false);
    let mut patience = Patience::default();
    let mut applied = Some(Box::pin(async move { control.change(Change::Apply { services: only }).await }));
    let ended_by_user = loop {
        // Each arm is a stream, a signal or a future that is kept: nothing is lost by dropping the
        // wait for it.
        tokio::select! {
            biased;
            Some(event) = events.next() => {
                patience.note(&event);
                audience.tell(&event);
            }
            outcome = async { applied.as_mut().expect("guarded by the condition").await }, if applied.is_some() => {
                let outcome = outcome?;
                if outcome.exit_code() == ExitCode::EngineUnreachable {
                    return Err(OpsError::EngineGone);
                }
                applied = None;
                audience.settled(&outcome);
            }
            () = interrupts.next() => break true,
            () = running.asked_to_stop() => break false,
            // Once it is up, the platform waits for its engine for as long as it takes.
            () = patience.over(), if applied.is_some() => return Err(OpsError::EngineGone),
        }
    };
    drop(applied);
    let stopping = running.stop();
    tokio::pin!(stopping);
    let mut hurried = false;
    let outcome = loop {
        tokio::select! {
            biased;
            Some(event) = events.next() => audience.tell(&event),
            outcome = &mut stopping => break outcome,
            // The second time kills; the third gives up on an engine that does not even do that.
            () = interrupts.next() => {
                if std::mem::replace(&mut hurried, true) {
                    return Err(OpsError::Cancelled);
                }
                running.hurry();
            }
        }
    };
    if let Some(blind) = outcome.blind {
        return Err(OpsError::Failed(blind));
    }
    if ended_by_user && outcome.failed.is_empty() { Err(OpsError::Cancelled) } else { Ok(outcome) }
}

/// Has the platform that runs in another process follow the manifest as it is now.
async fn join(
    client: &Client,
    arrival: Arrival,
    terms: Terms,
    only: Option<BTreeSet<String>>,
    audience: &mut dyn Audience,
) -> Result<Outcome, OpsError> {
    let status = client.status().await?;
    let other = match terms.runtime {
        RuntimeChoice::Auto => None,
        RuntimeChoice::Docker => Some(RuntimeKind::Docker),
        RuntimeChoice::Process => Some(RuntimeKind::Process),
    };
    if other.is_some_and(|other| other.to_string() != status.runtime) {
        return Err(OpsError::OtherRuntime { runs_on: status.runtime });
    }
    let url = status.gateway.url.clone().unwrap_or_default();
    let watching = if status.watching == Some(false) { Watching::Off } else { Watching::On };
    audience.greet(&Greeting {
        watching,
        stays: watching != terms.watching,
        platform: status.title(),
        elsewhere: status.gateway.instead_of,
        url,
        runtime: status.runtime_reason.unwrap_or(status.runtime),
        manner: arrival.manner,
        other_build: arrival.other_build,
    });
    let messages = client.change(&Change::Apply { services: only }).await?;
    let outcome = follow(messages, &mut |event| audience.tell(event)).await?;
    audience.settled(&outcome);
    Ok(outcome)
}

fn selection(platform: &Platform, request: &Request) -> Result<Option<BTreeSet<String>>, OpsError> {
    let named = known_services(platform, &request.services)?;
    Ok((!named.is_empty()).then(|| named.iter().map(ToString::to_string).collect()))
}
