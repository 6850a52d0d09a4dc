//! What instances printed before they ended: the end of it is shown, all of it is kept.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::timeout;

use super::Executor;
use crate::model::event::Failure;
use crate::model::instance::InstanceName;
use crate::runtime::LogQuery;

/// How many lines of a failed instance's output are shown; the whole of it is kept in a file.
const EXCERPT_LINES: usize = 20;

/// How many lines of a failed instance's output are kept in the file.
const KEPT_LINES: usize = 10_000;

/// How many of those files are kept.
const KEPT_FILES: usize = 50;

/// How long what takes an instance's place waits for its output to be read.
const PATIENCE: Duration = Duration::from_secs(2);

/// The end of an instance's output, and where all of it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastWords {
    pub excerpt: Vec<String>,
    pub log: Option<String>,
}

/// Instances that have ended and whose output is being read. What takes the place of one may have its
/// name, and so its output.
#[derive(Debug, Clone)]
pub(super) struct Unread(Arc<watch::Sender<BTreeSet<InstanceName>>>);

/// One of [`Unread`], for as long as this lives.
struct Reading {
    unread: Unread,
    instance: InstanceName,
}

impl Default for Unread {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::default()))
    }
}

impl Unread {
    fn begin(&self, instance: InstanceName) -> Reading {
        self.0.send_modify(|unread| {
            unread.insert(instance.clone());
        });
        Reading { unread: self.clone(), instance }
    }

    /// Completes once nobody reads the output of this instance.
    pub async fn is_read(&self, instance: &InstanceName) {
        // The sender is here: it does not go away meanwhile.
        let _ = self.0.subscribe().wait_for(|unread| !unread.contains(instance)).await;
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.unread.0.send_modify(|unread| {
            unread.remove(&self.instance);
        });
    }
}

impl Executor {
    /// Reads what an instance printed that has ended by itself. From this call until the future is done
    /// or dropped, nothing takes its place.
    pub fn hear(
        self: &Arc<Self>,
        instance: InstanceName,
    ) -> impl Future<Output = (InstanceName, LastWords)> + Send + use<> {
        let (executor, reading) = (Arc::clone(self), self.unread.begin(instance));
        async move {
            let words = timeout(PATIENCE, executor.last_words(&reading.instance)).await;
            (reading.instance.clone(), words.ok().flatten().unwrap_or_default())
        }
    }

    /// Adds the end of the instance's output, and keeps all of it in a file.
    pub(super) async fn with_output(&self, mut failure: Failure, instance: &InstanceName) -> Failure {
        match self.last_words(instance).await {
            Some(LastWords { excerpt, log }) if !excerpt.is_empty() => Failure { excerpt, log, ..failure },
            Some(_) => {
                failure.message += ", and printed nothing";
                failure
            }
            None => failure,
        }
    }

    /// `None` where that cannot be read.
    async fn last_words(&self, instance: &InstanceName) -> Option<LastWords> {
        let query = LogQuery { tail: Some(KEPT_LINES), ..LogQuery::default() };
        let lines = self.runtime.logs(instance, &query).await.ok()?;
        let lines: Vec<String> =
            lines.filter_map(|line| async { line.ok().map(|line| line.text) }).collect().await;
        if lines.is_empty() {
            return Some(LastWords::default());
        }
        let path = self.failure_logs.join(format!("{instance}.log"));
        let kept = async {
            tokio::fs::create_dir_all(&self.failure_logs).await?;
            tokio::fs::write(&path, lines.join("\n") + "\n").await?;
            remove_oldest(&self.failure_logs, KEPT_FILES).await
        };
        let log = match kept.await {
            Ok(()) => Some(path.display().to_string()),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "could not keep the failed instance's output");
                None
            }
        };
        Some(LastWords { excerpt: lines[lines.len().saturating_sub(EXCERPT_LINES)..].to_vec(), log })
    }
}

/// Leaves the latest `keep` files of a folder.
async fn remove_oldest(folder: &Path, keep: usize) -> std::io::Result<()> {
    let mut files = Vec::new();
    let mut entries = tokio::fs::read_dir(folder).await?;
    while let Some(entry) = entries.next_entry().await? {
        files.push((entry.metadata().await?.modified()?, entry.path()));
    }
    files.sort();
    for (_, path) in files.iter().rev().skip(keep) {
        tokio::fs::remove_file(path).await?;
    }
    Ok(())
}
