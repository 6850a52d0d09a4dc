//! Writes down what becomes of deployments, and reads it again.
//!
//! The recorder listens to the bus like anybody else and never holds anybody up: what it cannot write
//! yet is kept, in the form that it has by then, until it can. That nothing can be written is said once,
//! and is no reason for any deployment to fail.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::bus::Bus;
use super::folder::StateFolder;
use crate::model::catalog::Catalog;
use crate::model::deployment::Deployment;
use crate::model::event::Event;
use crate::model::history::History;
use crate::model::instance::Generation;
use crate::model::name::ServiceName;
use crate::store::{HistoryStore, StoreError};

/// How many deployments may wait to be written; beyond that the oldest are lost.
const WAITING: usize = 1_000;

/// How long whoever ends, or makes way, waits for what is not written yet.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reading the history, or closing it, failed.
#[derive(Debug, thiserror::Error)]
#[error("failed to {0}")]
pub struct HistoryError(#[from] StoreError);

/// The handle to the task that writes. It ends with the bus.
#[derive(Debug, Clone)]
pub struct Recorder {
    asks: mpsc::Sender<oneshot::Sender<()>>,
}

impl Recorder {
    /// Writes down what follows from the events of `bus`, from its first one. `catalog` is who took
    /// requests before that.
    #[must_use]
    pub fn start(folder: &StateFolder, bus: &Bus, catalog: Arc<Catalog>) -> Self {
        let (asks, asked) = mpsc::channel(1);
        let (events, folder) = (bus.events(true), folder.clone());
        tokio::spawn(async move {
            let opened = tokio::task::spawn_blocking(move || resume(&folder, &catalog)).await;
            match opened {
                Ok(Ok((store, history))) => Scribe::new(store, history).run(events, asked).await,
                Ok(Err(error)) => tracing::warn!("no history is written: failed to {error}"),
                Err(error) => tracing::warn!("no history is written: {error}"),
            }
        });
        Self { asks }
    }

    /// Waits until all that has happened so far is written, but not for long.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        let flushed = async {
            if self.asks.send(done).await.is_ok() {
                // Whoever does not answer has nothing that could be written.
                let _ = written.await;
            }
        };
        if tokio::time::timeout(PATIENCE, flushed).await.is_err() {
            tracing::warn!("the latest of the history is not written yet");
        }
    }
}

/// The latest deployments of a platform, of one service or of all, newest first. Nothing is written
/// where nothing was deployed.
///
/// # Errors
/// When the history cannot be read.
pub fn latest(
    folder: &StateFolder,
    service: Option<&str>,
    most: usize,
) -> Result<Vec<Deployment>, HistoryError> {
    match existing(folder)? {
        Some(store) => Ok(store.latest(service, most)?),
        None => Ok(Vec::new()),
    }
}

/// The highest generation that each service ever had, so that the next one is new to everybody. What
/// cannot be read counts as nothing: what runs is known without it.
pub async fn generations(folder: &StateFolder) -> BTreeMap<ServiceName, Generation> {
    let folder = folder.clone();
    match tokio::task::spawn_blocking(move || read_generations(&folder)).await {
        Ok(Ok(generations)) => generations,
        Ok(Err(error)) => {
            tracing::warn!(%error, "generations are counted without the history");
            BTreeMap::new()
        }
        Err(_) => BTreeMap::new(),
    }
}

fn read_generations(folder: &StateFolder) -> Result<BTreeMap<ServiceName, Generation>, HistoryError> {
    let Some(store) = existing(folder)? else { return Ok(BTreeMap::new()) };
    let known = |(service, number): (String, u32)| Some((service.parse().ok()?, Generation::new(number)?));
    Ok(store.generations()?.into_iter().filter_map(known).collect())
}

/// Notes that nothing of the platform is left.
///
/// # Errors
/// When that cannot be written.
pub fn close(folder: &StateFolder) -> Result<(), HistoryError> {
    let Some(store) = existing(folder)? else { return Ok(()) };
    let mut history = History::resume(store.unfinished()?, &Catalog::default());
    Ok(store.record(&history.take_down(SystemTime::now()))?)
}

fn existing(folder: &StateFolder) -> Result<Option<HistoryStore>, StoreError> {
    folder.history().exists().then(|| open(folder)).transpose()
}

fn resume(folder: &StateFolder, catalog: &Catalog) -> Result<(HistoryStore, History), StoreError> {
    let store = open(folder)?;
    let history = History::resume(store.unfinished()?, catalog);
    Ok((store, history))
}

fn open(folder: &StateFolder) -> Result<HistoryStore, StoreError> {
    let store = HistoryStore::open(&folder.history())?;
    if let Some(aside) = store.quarantined() {
        tracing::warn!(path = %aside.display(), "the history was damaged; it was set aside and a new one begun");
    }
    Ok(store)
}

struct Scribe {
    store: Arc<HistoryStore>,
    history: History,
    /// By service and number, each as it is now.
    waiting: BTreeMap<(String, u64), Deployment>,
    writing: Option<JoinHandle<Result<(), StoreError>>>,
    /// What is being written, should that fail.
    sent: Vec<Deployment>,
    complained: Complained,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Complained {
    NotYet,
    Already,
}

impl Scribe {
    fn new(store: HistoryStore, history: History) -> Self {
        Self {
            store: Arc::new(store),
            history,
            waiting: BTreeMap::new(),
            writing: None,
            sent: Vec::new(),
            complained: Complained::NotYet,
        }
    }

    async fn run(
        mut self,
        mut events: BoxStream<'static, Event>,
        mut asked: mpsc::Receiver<oneshot::Sender<()>>,
    ) {
        loop {
            // Every arm is a channel or a task that is kept: dropping the wait for one loses nothing.
            tokio::select! {
                biased;
                event = events.next() => match event {
                    Some(event) => self.note(&event),
                    None => return self.write_all().await,
                },
                // Before anybody is answered, all that has happened so far was noted.
                Some(done) = asked.recv() => {
                    self.write_all().await;
                    let _ = done.send(());
                }
                written = written(&mut self.writing) => self.written(written),
            }
        }
    }

    fn note(&mut self, event: &Event) {
        let changed = self.history.step(event);
        if !changed.is_empty() {
            self.keep(changed);
            self.write();
        }
    }

    fn keep(&mut self, changed: Vec<Deployment>) {
        for deployment in changed {
            self.waiting.insert((deployment.service.clone(), deployment.number), deployment);
        }
        while self.waiting.len() > WAITING {
            self.waiting.pop_first();
        }
    }

    /// Writes what waits, unless that is being done already.
    fn write(&mut self) {
        if self.writing.is_some() || self.waiting.is_empty() {
            return;
        }
        self.sent = std::mem::take(&mut self.waiting).into_values().collect();
        let (store, deployments) = (Arc::clone(&self.store), self.sent.clone());
        self.writing = Some(tokio::task::spawn_blocking(move || store.record(&deployments)));
    }

    fn written(&mut self, written: Result<(), String>) {
        let sent = std::mem::take(&mut self.sent);
        match written {
            Ok(()) => {
                self.complained = Complained::NotYet;
                self.write();
            }
            Err(error) => {
                // What has changed since is newer. The next change is the next try.
                let newer = std::mem::take(&mut self.waiting);
                self.keep(sent);
                self.keep(newer.into_values().collect());
                if std::mem::replace(&mut self.complained, Complained::Already) == Complained::NotYet {
                    tracing::warn!("the history is not up to date: failed to {error}");
                }
            }
        }
    }

    /// Tries once to write all that waits.
    async fn write_all(&mut self) {
        if self.writing.is_some() {
            let done = written(&mut self.writing).await;
            self.written(done);
        }
        self.write();
        if self.writing.is_some() {
            let done = written(&mut self.writing).await;
            self.written(done);
        }
    }
}

/// The end of what is being written; never, while nothing is.
async fn written(writing: &mut Option<JoinHandle<Result<(), StoreError>>>) -> Result<(), String> {
    let Some(task) = writing else { return std::future::pending().await };
    let done = task.await;
    *writing = None;
    match done {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(error) => Err(format!("write down the deployments: {error}")),
    }
}

#[cfg(test)]
mod tests;
