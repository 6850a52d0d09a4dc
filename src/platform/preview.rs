//! Says what `up` would do, without a running platform and without doing any of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::bus::Bus;
use super::folder::StateFolder;
use super::history;
use super::traffic::NoTraffic;
use super::wiring::Wiring;
use crate::engine::executor::Executor;
use crate::engine::{self, EngineParts, state::State};
use crate::model::event::Failure;
use crate::model::name::ServiceName;
use crate::model::platform::Platform;
use crate::plan::{Plan, WATCH_WINDOW};
use crate::runtime::Runtime;

/// An executor that routes nothing and opens no door.
#[must_use]
pub fn bare_executor(folder: &StateFolder, runtime: &Arc<dyn Runtime>, bus: Arc<Bus>) -> Executor {
    EngineParts {
        runtime: Arc::clone(runtime),
        traffic: Arc::new(NoTraffic),
        wiring: Arc::new(Wiring::offline(runtime.kind(), folder.process())),
        announcer: bus,
        failure_logs: folder.failures(),
        watch_window: WATCH_WINDOW,
    }
    .into()
}

/// # Errors
/// When the runtime cannot be looked at.
pub async fn plan(
    platform: Arc<Platform>,
    folder: &StateFolder,
    runtime: Arc<dyn Runtime>,
    only: Option<BTreeSet<ServiceName>>,
) -> Result<Plan, Failure> {
    let executor = bare_executor(folder, &runtime, Arc::default());
    let state = State::after(history::generations(folder).await);
    engine::preview(&executor, state, platform, only).await
}
