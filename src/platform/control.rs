//! What the admin door can ask of the running platform.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use tokio_util::sync::CancellationToken;

use super::bus::Bus;
use super::certificates::Certificates;
use super::mooring;
use super::sight;
use super::traffic::Traffic;
use super::watching::Watching;
use crate::admin::{Change, Control, Refusal, RouteRow, TrafficReport};
use crate::engine::ports::Announcer as _;
use crate::engine::{Engine, Stopping, Wishes};
use crate::gateway::{Gateway, metrics};
use crate::manifest;
use crate::model::deployment::Recipe;
use crate::model::desired::Pin;
use crate::model::event::{Event, EventKind, Wish};
use crate::model::explanation::{Explanation, Question};
use crate::model::instance::{BuildDigest, Generation};
use crate::model::name::ServiceName;
use crate::model::outcome::Outcome;
use crate::model::platform::Platform;
use crate::model::status::{GatewayStatus, PlatformStatus, SCHEMA};
use crate::watch::{Layout, Watch};

pub struct PlatformControl {
    pub engine: Engine,
    pub traffic: Arc<Traffic>,
    pub gateway: Gateway,
    pub since: Instant,
    pub bus: Arc<Bus>,
    /// The runtime's name.
    pub runtime: String,
    /// Why it is this one.
    pub runtime_reason: String,
    pub url: String,
    pub watching: Watching,
    /// `None`: the public door speaks in clear.
    pub certificates: Option<Arc<Certificates>>,
    pub stop: CancellationToken,
    /// Cancelled with the first change: from then on somebody has asked for something.
    pub begun: CancellationToken,
    /// Set once files are watched.
    pub watch: OnceLock<Watch>,
    /// Why the manifest cannot be followed as it is.
    pub refused: Mutex<Option<Refusal>>,
    /// Held from reading the manifest until the engine has it: who reads it later comes later.
    pub turn: tokio::sync::Mutex<()>,
}

#[async_trait]
impl Control for PlatformControl {
    async fn status(&self) -> PlatformStatus {
        let problem = self.refused().as_ref().map(|refusal| refusal.message.clone());
        let platform = self.traffic.platform();
        PlatformStatus {
            schema: SCHEMA.to_owned(),
            platform: platform.id.name.to_string(),
            checkout: platform.checkout.as_ref().map(ToString::to_string),
            runtime: self.runtime.clone(),
            runtime_reason: Some(self.runtime_reason.clone()),
            gateway: GatewayStatus {
                url: Some(self.url.clone()),
                instead_of: mooring::left(&platform, &self.url).map(|wanted| wanted.to_string()),
            },
            pid: Some(std::process::id()),
            watching: Some(self.watching == Watching::On),
            problem,
            services: self.engine.status().await.unwrap_or_default(),
        }
    }

    async fn routes(&self) -> Vec<RouteRow> {
        sight::rows(&self.gateway.table(), true)
    }

    async fn traffic(&self) -> TrafficReport {
        sight::traffic(&self.gateway, self.since.elapsed())
    }

    async fn metrics(&self) -> (&'static str, String) {
        (metrics::CONTENT_TYPE, metrics::render(&self.gateway.sight()))
    }

    async fn explain(&self, question: Question) -> Result<Explanation, Refusal> {
        sight::explain(&self.gateway.table(), &question)
    }

    async fn plan(&self, services: Option<BTreeSet<String>>) -> Result<String, Refusal> {
        let platform = self.reload().await?;
        let only = services.map(|names| parse(&names)).transpose()?;
        let planned = self.engine.plan(platform, only).await.map_err(|Stopping| Refusal::stopping())?;
        planned
            .map(|plan| plan.to_string())
            .map_err(|failure| Refusal { message: failure.message, hint: failure.hint })
    }

    async fn change(&self, change: Change) -> Result<Outcome, Refusal> {
        self.begun.cancel();
        self.bus.announce(asked(&change));
        let done = match change {
            Change::Apply { services } => {
                let only = services.map(|names| parse(&names)).transpose()?;
                let turn = self.turn.lock().await;
                let platform = self.reload().await?;
                self.follow(&platform);
                let applied = self
                    .engine
                    .begin_to_apply(platform, only)
                    .await
                    .map_err(|Stopping| Refusal::stopping())?;
                drop(turn);
                applied.outcome().await
            }
            Change::Scale { replicas } => {
                let replicas = replicas.into_iter().map(|(name, count)| Ok((parse_one(&name)?, count)));
                self.engine.scale(replicas.collect::<Result<_, Refusal>>()?).await
            }
            Change::Restart { services } => self.engine.restart(parse(&services)?).await,
            Change::Redeploy { services } => self.engine.redeploy(parse(&services)?).await,
            Change::RollBack { service, to, recipe } => {
                let pin = pin(to, recipe).ok_or_else(|| Refusal {
                    message: format!("nobody has written down what {service} v{to} ran"),
                    hint: Some("msctl history shows what there was".to_owned()),
                })?;
                self.engine.roll_back(parse_one(&service)?, pin).await
            }
        };
        done.map_err(|Stopping| Refusal::stopping())
    }

    fn events(&self, from_start: bool) -> BoxStream<'static, Event> {
        self.bus.events(from_start)
    }

    fn past_events(&self) -> Vec<Event> {
        self.bus.past()
    }

    fn stop(&self) {
        self.stop.cancel();
    }
}

impl PlatformControl {
    /// Goes on with what was asked of the process before this one.
    pub(super) fn go_on(&self, platform: Arc<Platform>, wishes: Option<Wishes>) {
        // As long as nobody has asked for anything, nothing is to be done.
        let Some(wishes) = wishes else { return };
        self.begun.cancel();
        let engine = self.engine.clone();
        // How it went shows in the status, and to whoever asks for the next change.
        tokio::spawn(async move { engine.succeed(platform, wishes).await });
    }

    /// Somebody has saved the manifest, or what it consists of. One that cannot be followed changes
    /// nothing until it is mended.
    pub(super) async fn reread(&self) -> Result<(), Stopping> {
        let _turn = self.turn.lock().await;
        match self.reload().await {
            Ok(platform) if *platform == *self.traffic.platform() => self.accept(),
            Ok(platform) => {
                self.follow(&platform);
                self.engine.edited(platform).await?;
            }
            Err(refusal) => self.refuse(&refusal),
        }
        Ok(())
    }

    /// Goes by another manifest from now on, in everything but what runs.
    fn follow(&self, platform: &Arc<Platform>) {
        self.accept();
        self.traffic.follow(Arc::clone(platform));
        if let Some(watch) = self.watch.get() {
            watch.follow(Layout::of(platform));
        }
        if let Some(certificates) = &self.certificates {
            certificates.look();
        }
    }

    /// Has the manifest looked at again once something is at one of these paths.
    fn wait_for(&self, missing: BTreeSet<PathBuf>) {
        if let Some(watch) = self.watch.get().filter(|_| !missing.is_empty()) {
            watch.follow(Layout::of(&self.traffic.platform()).expecting(missing));
        }
    }

    fn accept(&self) {
        if self.refused().take().is_some() {
            self.bus.announce(EventKind::ManifestFollowed);
        }
    }

    fn refuse(&self, refusal: &Refusal) {
        if self.refused().replace(refusal.clone()).as_ref() != Some(refusal) {
            let Refusal { message, hint } = refusal.clone();
            self.bus.announce(EventKind::ManifestRefused { message, hint });
        }
    }

    fn refused(&self) -> MutexGuard<'_, Option<Refusal>> {
        // One whole value: a panic elsewhere leaves nothing half-done.
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the manifest as it is now. What only a new process can follow is refused.
    async fn reload(&self) -> Result<Arc<Platform>, Refusal> {
        let before = self.traffic.platform();
        let path = before.root.join(manifest::MANIFEST_FILE);
        let loaded = tokio::task::spawn_blocking(move || manifest::load(&path)).await;
        let refused = |message: String| Refusal { message, hint: None };
        let platform = loaded.map_err(|error| refused(error.to_string()))?.map_err(|error| {
            self.wait_for(error.missing());
            Refusal { hint: error.hint().map(str::to_owned), message: error.to_string() }
        })?;
        let fixed = [
            ("the platform's name", before.id != platform.id),
            ("[gateway]", before.gateway != platform.gateway),
            ("[auth]", before.auth != platform.auth),
        ];
        match fixed.iter().find(|(_, changed)| *changed) {
            Some((what, _)) => Err(Refusal {
                message: format!("{what} has changed, and the running platform cannot follow that"),
                hint: Some("stop it with: msctl down, and start it again".to_owned()),
            }),
            None => Ok(Arc::new(platform)),
        }
    }
}

fn asked(change: &Change) -> EventKind {
    let (change, services) = match change {
        Change::Apply { services } => (Wish::Apply, services.iter().flatten().cloned().collect()),
        Change::Scale { replicas } => (Wish::Scale, replicas.keys().cloned().collect()),
        Change::Restart { services } => (Wish::Restart, services.iter().cloned().collect()),
        Change::Redeploy { services } => (Wish::Redeploy, services.iter().cloned().collect()),
        Change::RollBack { service, .. } => (Wish::RollBack, vec![service.clone()]),
    };
    EventKind::Asked { change, services }
}

fn pin(to: u32, recipe: Recipe) -> Option<Pin> {
    let (program, digest) = (recipe.program?.into(), recipe.digest.map(BuildDigest));
    Some(Pin { program, digest, to: Generation::new(to)?, over: None })
}

fn parse(names: &BTreeSet<String>) -> Result<BTreeSet<ServiceName>, Refusal> {
    names.iter().map(|name| parse_one(name)).collect()
}

fn parse_one(name: &str) -> Result<ServiceName, Refusal> {
    name.parse().map_err(|error| Refusal { message: format!("{error}"), hint: None })
}
