//! An engine with everything around it in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::fixtures::{name_of, platform, platform_id};
use super::traffic::{Journal, Routes, Signposts};
use crate::engine::{Engine, EngineParts};
use crate::model::event::EventKind;
use crate::model::instance::InstanceName;
use crate::model::outcome::Outcome;
use crate::model::platform::ServiceSpec;
use crate::runtime::Runtime;
use crate::runtime::fake::Fake;

/// Short, so that replacing takes no time.
const WATCH_WINDOW: Duration = Duration::from_millis(5);

pub struct Stage {
    pub fake: Fake,
    pub engine: Engine,
    pub routes: Arc<Routes>,
    pub journal: Arc<Journal>,
    pub failure_logs: TempDir,
}

impl Stage {
    /// An engine over an empty world that has versions 1 to 3 of the services `order`, `product`
    /// and `gone`.
    pub fn new() -> Self {
        let fake = Fake::new(platform_id()).serving().with_images();
        for service in ["order", "product", "gone"] {
            for version in 1..=3 {
                fake.add_image(&format!("{service}:{version}"));
            }
        }
        Self::over(&fake, Arc::new(fake.clone()))
    }

    /// A new engine, as a new process would have it, that reaches the world through `runtime`.
    pub fn over(fake: &Fake, runtime: Arc<dyn Runtime>) -> Self {
        Self::watching(fake, runtime, WATCH_WINDOW)
    }

    /// Where there is a way back from a new instance for so long.
    pub fn watching(fake: &Fake, runtime: Arc<dyn Runtime>, watch_window: Duration) -> Self {
        let (routes, journal) = (Arc::new(Routes::default()), Arc::new(Journal::default()));
        let failure_logs = tempfile::tempdir().unwrap();
        let parts = EngineParts {
            runtime,
            traffic: Arc::clone(&routes) as _,
            wiring: Arc::new(Signposts),
            announcer: Arc::clone(&journal) as _,
            failure_logs: failure_logs.path().to_owned(),
            watch_window,
        };
        let engine = Engine::start(parts, BTreeMap::new());
        Self { fake: fake.clone(), engine, routes, journal, failure_logs }
    }

    pub async fn apply(&self, services: impl IntoIterator<Item = ServiceSpec>) -> Outcome {
        self.engine.apply(Arc::new(platform(services)), None).await.unwrap()
    }

    /// As [`Stage::apply`], and everything has to go well.
    pub async fn deploy(&self, services: impl IntoIterator<Item = ServiceSpec>) {
        let outcome = self.apply(services).await;
        assert!(outcome.failed.is_empty() && outcome.blind.is_none(), "{outcome:#?}");
    }

    /// What exists, whatever its state: `order.v1.1 product.v1.1`.
    pub async fn existing(&self) -> String {
        let observed = self.fake.observe().await.unwrap();
        observed.instances.iter().map(|seen| seen.name.to_string()).collect::<Vec<_>>().join(" ")
    }

    /// Asserts what exists and that exactly this takes requests.
    pub async fn assert_serving(&self, expected: &str) {
        assert_eq!((self.existing().await.as_str(), self.routes.serving().as_str()), (expected, expected));
    }

    pub async fn exited(&self, instance: &InstanceName) -> Option<Duration> {
        let name = instance.to_string();
        self.journal
            .wait(|event| match event {
                EventKind::InstanceExited { instance, restart_in, .. } if *instance == name => {
                    Some(*restart_in)
                }
                _ => None,
            })
            .await
    }

    /// Waits until a step is done, in the journal's words.
    pub async fn done(&self, step: &str) {
        let step = format!("={step}");
        self.journal
            .wait(|event| match event {
                EventKind::StepFinished { step: kind, subject, .. } => {
                    (format!("={kind} {subject}") == step).then_some(())
                }
                _ => None,
            })
            .await;
    }

    pub fn fewest(&self, service: &str) -> usize {
        self.routes.fewest(&name_of(service))
    }
}
