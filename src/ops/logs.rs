//! `msctl logs`: what services print, merged; read from the runtime itself, so it needs no running
//! platform process.

use std::collections::{BTreeSet, VecDeque};
use std::future::ready;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{BoxStream, SelectAll};
use futures_util::{Stream, StreamExt};

use super::context::{Chosen, Context, chosen_services};
use super::error::OpsError;
use super::target;
use crate::logs::{Entry, merge};
use crate::model::instance::InstanceName;
use crate::runtime::{LogLine, LogQuery, Runtime, RuntimeError};

/// How often new instances are looked for while following, at the least.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Default)]
pub struct Request {
    /// All if empty.
    pub services: Vec<String>,
    pub query: LogQuery,
}

/// Hands entries to `take` until there are no more; with `follow`, until `take` says false or the
/// caller drops this.
///
/// # Errors
/// When a service is unknown, or a runtime cannot be asked.
pub async fn logs(
    context: &Context,
    request: &Request,
    take: &mut (dyn FnMut(&Entry) -> bool + Send),
) -> Result<(), OpsError> {
    let platform = context.identify()?;
    let services = chosen_services(context, &request.services)?;
    let folder = context.state(&platform)?;
    let runtimes = target::all(context, &platform, &folder).await?;
    if request.query.follow {
        return follow(&runtimes, &services, &request.query, take).await;
    }
    let mut past = Vec::new();
    for runtime in &runtimes {
        for life in instances(runtime, &services).await? {
            if let Some(lines) = lines(runtime, &life.instance, &request.query).await? {
                past.push((life.instance, lines));
            }
        }
    }
    show_past(pin!(merge(past)), request.query.tail, take).await;
    Ok(())
}

/// The newest `tail` of `entries`, which are all that is kept at a time; without it all, as they come.
async fn show_past(
    mut entries: impl Stream<Item = Entry> + Unpin,
    tail: Option<usize>,
    take: &mut (dyn FnMut(&Entry) -> bool + Send),
) {
    let mut newest = VecDeque::new();
    while let Some(entry) = entries.next().await {
        match tail {
            None if take(&entry) => {}
            None => return,
            Some(tail) => {
                newest.push_back(entry);
                newest.drain(..newest.len().saturating_sub(tail));
            }
        }
    }
    let _all = newest.iter().all(take);
}

/// One run of an instance: a restart keeps the name and begins a new one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Life {
    instance: InstanceName,
    handle: String,
}

async fn instances(runtime: &Arc<dyn Runtime>, services: &Chosen) -> Result<Vec<Life>, OpsError> {
    let observed = runtime.observe().await?;
    let chosen = observed.instances.into_iter().filter(|seen| services.contains(&seen.name.service));
    Ok(chosen.map(|seen| Life { instance: seen.name, handle: seen.handle }).collect())
}

/// What an instance prints; `None` when it was removed since it was seen.
async fn lines(
    runtime: &Arc<dyn Runtime>,
    instance: &InstanceName,
    query: &LogQuery,
) -> Result<Option<BoxStream<'static, LogLine>>, OpsError> {
    match runtime.logs(instance, query).await {
        Ok(lines) => {
            let instance = instance.clone();
            let known = lines.filter_map(move |line| {
                let broken =
                    |error| tracing::warn!(%instance, %error, "its output cannot be read to the end");
                ready(line.map_err(broken).ok())
            });
            Ok(Some(known.boxed()))
        }
        Err(RuntimeError::NoSuchInstance(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Follows every instance, those that come later included: each as one stream, so that nothing falls
/// between what was printed before and what comes.
async fn follow(
    runtimes: &[Arc<dyn Runtime>],
    services: &Chosen,
    query: &LogQuery,
    take: &mut (dyn FnMut(&Entry) -> bool + Send),
) -> Result<(), OpsError> {
    let mut live: SelectAll<BoxStream<'static, Entry>> = SelectAll::new();
    let mut followed = BTreeSet::new();
    let mut pace = tokio::time::interval(LOOK_AGAIN);
    loop {
        tokio::select! {
            // Both arms only wait; what a stream has is still there the next time.
            Some(entry) = live.next(), if !live.is_empty() => {
                if !take(&entry) {
                    return Ok(());
                }
            }
            _ = pace.tick() => {
                let is_first = followed.is_empty();
                for runtime in runtimes {
                    for life in instances(runtime, services).await? {
                        if followed.insert(life.clone()) {
                            // Of what begins later, all is new.
                            let tail = if is_first { query.tail } else { None };
                            let query = LogQuery { follow: true, tail, since: query.since };
                            live.extend(entries(runtime, life.instance, &query).await?);
                        }
                    }
                }
            }
        }
    }
}

async fn entries(
    runtime: &Arc<dyn Runtime>,
    instance: InstanceName,
    query: &LogQuery,
) -> Result<Option<BoxStream<'static, Entry>>, OpsError> {
    let lines = lines(runtime, &instance, query).await?;
    Ok(lines.map(|lines| lines.map(move |line| Entry { instance: instance.clone(), line }).boxed()))
}
