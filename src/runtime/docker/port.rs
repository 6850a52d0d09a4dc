//! The engine as a [`Runtime`]: which of its parts answers what.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::Docker;
use crate::model::instance::{InstanceName, InstanceSpec};
use crate::model::observed::{Observed, Resource};
use crate::runtime::{
    CallerIdentity, Change, DataFate, ExecRequest, Images, LogLine, LogQuery, Runtime, RuntimeError,
    RuntimeKind, StopOutcome, Underlay,
};

#[async_trait]
impl Runtime for Docker {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Docker
    }

    fn description(&self) -> String {
        self.engine.description.clone()
    }

    async fn prepare(&self) -> Result<Underlay, RuntimeError> {
        let network = self.prepare_network().await?;
        Ok(Underlay { door: network.door, callers: CallerIdentity::SourceAddress })
    }

    async fn observe(&self) -> Result<Observed, RuntimeError> {
        Ok(Observed { instances: self.instances().await? })
    }

    async fn resources(&self) -> Result<Vec<Resource>, RuntimeError> {
        self.shared().await
    }

    async fn launch(&self, spec: &InstanceSpec) -> Result<(), RuntimeError> {
        self.launch_container(spec).await
    }

    async fn stop(&self, instance: &InstanceName, grace: Duration) -> Result<StopOutcome, RuntimeError> {
        self.stop_container(instance, grace).await
    }

    async fn remove(&self, instance: &InstanceName) -> Result<(), RuntimeError> {
        self.remove_container(instance).await
    }

    async fn changes(&self) -> Result<BoxStream<'static, Change>, RuntimeError> {
        self.watch().await
    }

    async fn logs(
        &self,
        instance: &InstanceName,
        query: &LogQuery,
    ) -> Result<BoxStream<'static, Result<LogLine, RuntimeError>>, RuntimeError> {
        self.read_logs(instance, query).await
    }

    async fn exec(&self, instance: &InstanceName, request: &ExecRequest) -> Result<i32, RuntimeError> {
        self.run_inside(instance, request).await
    }

    async fn tear_down(&self, data: DataFate) -> Result<Vec<Resource>, RuntimeError> {
        self.remove_shared(data).await
    }

    fn images(&self) -> Option<&dyn Images> {
        Some(self)
    }
}
