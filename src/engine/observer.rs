//! Keeps the latest snapshot of the runtime. Callers that ask at the same time share one look.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::{Mutex, mpsc, watch};

use crate::model::instance::InstanceName;
use crate::model::observed::{InstanceState, Observed, ObservedInstance};
use crate::runtime::{Runtime, RuntimeError};

pub struct Observer {
    runtime: Arc<dyn Runtime>,
    latest: watch::Sender<Arc<Observed>>,
    /// Counts requests for a look; the mutex holds the count at which the latest look began.
    asked: AtomicU64,
    looked: Mutex<u64>,
}

impl Observer {
    #[must_use]
    pub fn new(runtime: Arc<dyn Runtime>) -> Self {
        let (latest, _) = watch::channel(Arc::new(Observed::default()));
        Self { runtime, latest, asked: AtomicU64::new(0), looked: Mutex::new(0) }
    }

    /// A snapshot that was taken after this call began.
    pub async fn refresh(&self) -> Result<Arc<Observed>, RuntimeError> {
        let ticket = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut looked = self.looked.lock().await;
        if *looked >= ticket {
            // Somebody's look began after this call did, while this call waited for the lock.
            return Ok(self.latest());
        }
        let covers = self.asked.load(Ordering::SeqCst);
        let observed = Arc::new(self.runtime.observe().await?);
        *looked = covers;
        self.latest.send_replace(Arc::clone(&observed));
        Ok(observed)
    }

    #[must_use]
    pub fn latest(&self) -> Arc<Observed> {
        Arc::clone(&self.latest.borrow())
    }

    /// Waits until a snapshot shows the instance to have stopped, or to be gone (`None`).
    /// Only snapshots that somebody else has taken are looked at.
    pub async fn stopped(&self, instance: &InstanceName) -> Option<InstanceState> {
        let mut snapshots = self.latest.subscribe();
        loop {
            match find(&snapshots.borrow_and_update(), instance) {
                Some(seen) if !seen.state.is_running() => return Some(seen.state),
                Some(_) => {}
                None => return None,
            }
            if snapshots.changed().await.is_err() {
                // The observer itself is gone; nobody is left to tell.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// How often the world is looked at although nothing said that it changed.
const PERIOD: Duration = Duration::from_secs(10);
/// How often while the engine does not answer, or has just lost its event stream.
const BLIND_PERIOD: Duration = Duration::from_secs(1);

/// Looks again whenever the runtime says that something changed, every [`PERIOD`] in any case, and
/// tells the outcome. Ends when nobody listens any more.
pub async fn watch(observer: Arc<Observer>, tell: mpsc::Sender<Result<Arc<Observed>, RuntimeError>>) {
    loop {
        let Ok(mut changes) = observer.runtime.changes().await else {
            if look(&observer, &tell).await.is_err() {
                return;
            }
            tokio::time::sleep(BLIND_PERIOD).await;
            continue;
        };
        // What happened before the subscription is seen by a look after it.
        if look(&observer, &tell).await.is_err() {
            return;
        }
        loop {
            // A timeout drops only the wait for the next change, never a change.
            match tokio::time::timeout(PERIOD, changes.next()).await {
                Ok(None) => break,
                Ok(Some(_)) | Err(_) if tell.is_closed() => return,
                Ok(Some(_)) | Err(_) => {
                    if look(&observer, &tell).await.is_err() {
                        return;
                    }
                }
            }
        }
        tokio::time::sleep(BLIND_PERIOD).await;
    }
}

async fn look(
    observer: &Observer,
    tell: &mpsc::Sender<Result<Arc<Observed>, RuntimeError>>,
) -> Result<(), mpsc::error::SendError<Result<Arc<Observed>, RuntimeError>>> {
    tell.send(observer.refresh().await).await
}

/// The instance of that name in a snapshot.
#[must_use]
pub fn find<'a>(observed: &'a Observed, instance: &InstanceName) -> Option<&'a ObservedInstance> {
    observed.instances.iter().find(|seen| seen.name == *instance)
}
