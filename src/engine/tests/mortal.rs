//! A runtime that is reached by a process which dies at some call.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use tokio::sync::Notify;

use crate::model::instance::{InstanceName, InstanceSpec};
use crate::model::observed::{Observed, Resource};
use crate::runtime::fake::Fake;
use crate::runtime::{
    Change, DataFate, ExecRequest, Images, LogLine, LogQuery, Runtime, RuntimeError, RuntimeKind,
    StopOutcome, Underlay,
};

/// Whether the call that kills still reaches the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last {
    Done,
    Lost,
}

/// Passes a number of calls on, and then never answers again: for whoever calls, that is death.
pub struct Mortal {
    fake: Fake,
    calls_left: AtomicUsize,
    last: Last,
    dead: AtomicBool,
    pub death: Notify,
}

impl Mortal {
    pub fn new(fake: Fake, calls: usize, last: Last) -> Self {
        let calls_left = AtomicUsize::new(calls);
        Self { fake, calls_left, last, dead: AtomicBool::new(false), death: Notify::new() }
    }

    async fn pass<T>(&self, call: impl Future<Output = T>) -> T {
        let spend = |left: usize| left.checked_sub(1);
        if self.calls_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, spend).is_ok() {
            return call.await;
        }
        if !self.dead.swap(true, Ordering::SeqCst) {
            if self.last == Last::Done {
                call.await;
            }
            self.death.notify_one();
        }
        std::future::pending().await
    }
}

#[async_trait]
impl Runtime for Mortal {
    fn kind(&self) -> RuntimeKind {
        self.fake.kind()
    }

    fn description(&self) -> String {
        self.fake.description()
    }

    async fn prepare(&self) -> Result<Underlay, RuntimeError> {
        self.pass(self.fake.prepare()).await
    }

    async fn observe(&self) -> Result<Observed, RuntimeError> {
        self.pass(self.fake.observe()).await
    }

    async fn resources(&self) -> Result<Vec<Resource>, RuntimeError> {
        self.pass(self.fake.resources()).await
    }

    async fn launch(&self, spec: &InstanceSpec) -> Result<(), RuntimeError> {
        self.pass(self.fake.launch(spec)).await
    }

    async fn stop(&self, name: &InstanceName, grace: Duration) -> Result<StopOutcome, RuntimeError> {
        self.pass(self.fake.stop(name, grace)).await
    }

    async fn remove(&self, name: &InstanceName) -> Result<(), RuntimeError> {
        self.pass(self.fake.remove(name)).await
    }

    async fn changes(&self) -> Result<BoxStream<'static, Change>, RuntimeError> {
        self.fake.changes().await
    }

    async fn logs(
        &self,
        name: &InstanceName,
        query: &LogQuery,
    ) -> Result<BoxStream<'static, Result<LogLine, RuntimeError>>, RuntimeError> {
        self.pass(self.fake.logs(name, query)).await
    }

    async fn exec(&self, name: &InstanceName, request: &ExecRequest) -> Result<i32, RuntimeError> {
        self.pass(self.fake.exec(name, request)).await
    }

    async fn tear_down(&self, data: DataFate) -> Result<Vec<Resource>, RuntimeError> {
        self.pass(self.fake.tear_down(data)).await
    }

    fn images(&self) -> Option<&dyn Images> {
        self.fake.images()
    }
}
