//! `msctl logs`: what services print, merged; read from the runtime itself, so it needs no running
//! platform process.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{BoxStream, SelectAll};

use super::context::{Context, known_services};
use super::error::OpsError;
use super::target;
use crate::logs::{Entry, merge};
use crate::model::instance::InstanceName;
use crate::model::name::ServiceName;
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
    let platform = context.load()?;
    let named = known_services(&platform, &request.services)?;
    let services: BTreeSet<ServiceName> =
        if named.is_empty() { platform.services.keys().cloned().collect() } else { named };
    let folder = context.state(&platform)?;
    let runtimes = target::all(context, &platform, &folder).await?;
    let mut seen = BTreeSet::new();
    let mut past = Vec::new();
    for runtime in &runtimes {
        for life in instances(runtime, &services).await? {
            if let Some(lines) = written(runtime, &life.instance, &request.query).await? {
                past.push((life.instance.clone(), lines));
                seen.insert(life);
            }
        }
    }
    // Following starts where each instance's past ends, so the past is read first and once.
    let entries = merge(past, request.query.tail);
    if !entries.iter().all(&mut *take) || !request.query.follow {
        return Ok(());
    }
    follow(&runtimes, &services, seen, take).await
}

/// One run of an instance: a restart keeps the name and begins a new one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Life {
    instance: InstanceName,
    handle: String,
}

async fn instances(
    runtime: &Arc<dyn Runtime>,
    services: &BTreeSet<ServiceName>,
) -> Result<Vec<Life>, OpsError> {
    let observed = runtime.observe().await?;
    let chosen = observed.instances.into_iter().filter(|seen| services.contains(&seen.name.service));
    Ok(chosen.map(|seen| Life { instance: seen.name, handle: seen.handle }).collect())
}

async fn written(
    runtime: &Arc<dyn Runtime>,
    instance: &InstanceName,
    query: &LogQuery,
) -> Result<Option<Vec<LogLine>>, OpsError> {
    let query = LogQuery { follow: false, ..query.clone() };
    Ok(match lines(runtime, instance, &query).await? {
        Some(lines) => Some(lines.collect().await),
        None => None,
    })
}

/// What an instance prints; `None` when it was removed since it was seen.
async fn lines(
    runtime: &Arc<dyn Runtime>,
    instance: &InstanceName,
    query: &LogQuery,
) -> Result<Option<BoxStream<'static, LogLine>>, OpsError> {
    match runtime.logs(instance, query).await {
        Ok(lines) => Ok(Some(lines.filter_map(|line| async { line.ok() }).boxed())),
        Err(RuntimeError::NoSuchInstance(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Follows every instance, those that come later included, from now on.
async fn follow(
    runtimes: &[Arc<dyn Runtime>],
    services: &BTreeSet<ServiceName>,
    already: BTreeSet<Life>,
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
                for runtime in runtimes {
                    for life in instances(runtime, services).await? {
                        if followed.insert(life.clone()) {
                            // The past of what was there before has been shown.
                            let tail = already.contains(&life).then_some(0);
                            let query = LogQuery { follow: true, tail, since: None };
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
