//! Follows what the platform is made from: saved sources become deployments, a saved manifest becomes
//! another plan.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::control::PlatformControl;
use crate::engine::ports::Announcer as _;
use crate::engine::{Save, Stopping};
use crate::model::event::EventKind;
use crate::watch::{Change, Layout, Options, Report, Touch, Watch};

/// Whether saved files are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Watching {
    #[default]
    On,
    Off,
}

impl Watching {
    #[must_use]
    pub fn told(self) -> &'static str {
        match self {
            Self::On => "saves are deployed",
            Self::Off => "saves are not deployed",
        }
    }
}

/// Watches from the first change that somebody asks for, until the engine ends.
pub(super) async fn run(control: Arc<PlatformControl>) {
    control.begun.cancelled().await;
    let watch = match Watch::start(Layout::of(&control.traffic.platform()), Options::default()) {
        Ok(watch) => control.watch.get_or_init(|| watch),
        Err(error) => {
            control.bus.announce(EventKind::Noticed {
                service: None,
                message: format!("saved files are not followed: failed to {error}"),
                hint: Some("deploy what was saved with: msctl up".to_owned()),
            });
            return;
        }
    };
    // The manifest may have been read anew before there was a watch to follow it.
    watch.follow(Layout::of(&control.traffic.platform()));
    while let Some(report) = watch.next().await {
        let told = match report {
            Report::Change(change) => tell(&control, change).await,
            Report::Notice(notice) => {
                let (message, hint) = (notice.to_string(), notice.hint());
                control.bus.announce(EventKind::Noticed { service: None, message, hint });
                Ok(())
            }
        };
        if told.is_err() {
            return;
        }
    }
}

async fn tell(control: &PlatformControl, change: Change) -> Result<(), Stopping> {
    if change.manifest.is_some() {
        control.reread().await?;
    }
    if change.services.is_empty() {
        return Ok(());
    }
    let settled = change.settled;
    let touches = change.services.into_iter();
    control.engine.saved(touches.map(|(service, touch)| (service, save(&touch, settled))).collect()).await
}

fn save(touch: &Touch, settled: std::time::Instant) -> Save {
    Save {
        paths: touch.paths.iter().map(ToOwned::to_owned).collect(),
        has_more: touch.paths.has_more(),
        detected: touch.first,
        settled,
    }
}
