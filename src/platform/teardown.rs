//! Lets go of every instance of a platform on one runtime, whether or not a platform process runs.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};

use super::bus::Bus;
use super::folder::StateFolder;
use super::preview::bare_executor;
use crate::engine;
use crate::model::event::{Event, Failure};
use crate::model::outcome::Outcome;
use crate::model::platform::Platform;
use crate::runtime::Runtime;

/// Stops and removes all instances; gives what failed and how many were removed.
///
/// # Errors
/// When the runtime cannot be looked at.
pub async fn let_go(
    platform: Option<&Platform>,
    folder: &StateFolder,
    runtime: Arc<dyn Runtime>,
    tell: &mut (dyn FnMut(&Event) + Send),
) -> Result<(Outcome, usize), Failure> {
    let bus = Arc::new(Bus::default());
    let mut events = bus.events(false);
    let executor = bare_executor(folder, &runtime, bus);
    let mut removed = 0;
    let mut note = |event: &Event| {
        removed += usize::from(event.removed_instance().is_some());
        tell(event);
    };
    let mut letting_go = Box::pin(engine::let_go(&executor, platform));
    let report = loop {
        tokio::select! {
            biased;
            Some(event) = events.next() => note(&event),
            report = &mut letting_go => break report?,
        }
    };
    drop(letting_go);
    // What the last steps told is still in the stream.
    while let Some(Some(event)) = events.next().now_or_never() {
        note(&event);
    }
    Ok((report.into(), removed))
}
