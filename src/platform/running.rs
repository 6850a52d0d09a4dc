//! A platform that runs in this process: bound, built and spawned in order, and stopped in the
//! reverse one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::admin_door::AdminDoor;
use super::bus::Bus;
use super::certificates::Certificates;
use super::collector;
use super::control::PlatformControl;
use super::doors::Doors;
use super::ending::{Ending, EndsWhenDropped};
use super::folder::{Lock, StateFolder};
use super::history::{self, Recorder};
use super::opening::{open_auth, open_certificates, open_gateway};
use super::sockets::Sockets;
use super::start_error::StartError;
use super::succession::claim;
use super::traffic::Traffic;
use super::watching::{self, Watching};
use super::wiring::{House, Wiring};
use crate::admin::Control;
use crate::engine::ports::{Announcer, Traffic as _, Wiring as _};
use crate::engine::{Engine, EngineParts};
use crate::gateway::{self, Farewell, Gateway};
use crate::handover::Post;
use crate::model::event::{EventKind, Failure};
use crate::model::instance::Generation;
use crate::model::name::ServiceName;
use crate::model::outcome::Outcome;
use crate::model::platform::Platform;
use crate::plan::WATCH_WINDOW;
use crate::runtime::Runtime;

/// How long a process that was started for somebody waits for that somebody's first wish.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long an earlier process may take to end once it was told to.
pub(super) const DISMISSAL: Duration = Duration::from_secs(2);

/// Where the platform is to run, and the sentence that says why there.
pub struct Ground {
    pub runtime: Arc<dyn Runtime>,
    pub reason: String,
    /// The engine's address, where one was named.
    pub docker_host: Option<String>,
    pub watching: Watching,
}

/// What is behind the doors.
struct Interior {
    traffic: Arc<Traffic>,
    gateway: Gateway,
    wiring: Arc<Wiring>,
    ending: Ending,
    tasks: TaskTracker,
    sockets: Arc<Sockets>,
    /// The latest generations that there ever were.
    generations: BTreeMap<ServiceName, Generation>,
}

impl Interior {
    async fn open(
        platform: &Arc<Platform>,
        folder: &StateFolder,
        runtime: &Arc<dyn Runtime>,
    ) -> Result<Self, StartError> {
        let auth = Arc::new(open_auth(platform, folder).await?);
        let underlay = runtime.prepare().await?;
        folder.remember_runtime(&runtime.kind().to_string());
        let traffic = Arc::new(Traffic::new(Arc::clone(platform)));
        let gateway = open_gateway(platform, folder, &traffic, &auth)?;
        let (ending, tasks, sockets) = (Ending::default(), TaskTracker::new(), Arc::<Sockets>::default());
        let house = House {
            runtime: Arc::clone(runtime),
            gateway: gateway.clone(),
            auth,
            ending: ending.clone(),
            tasks: tasks.clone(),
            sockets: Arc::clone(&sockets),
        };
        let wiring = Arc::new(Wiring::new(&underlay, folder.process(), house));
        let generations = history::generations(folder).await;
        Ok(Self { traffic, gateway, wiring, ending, tasks, sockets, generations })
    }

    fn control(
        &self,
        folder: &StateFolder,
        ground: &Ground,
        url: String,
        certificates: Option<Arc<Certificates>>,
    ) -> Arc<PlatformControl> {
        let bus = Arc::new(Bus::default());
        let parts = EngineParts {
            runtime: Arc::clone(&ground.runtime),
            traffic: Arc::clone(&self.traffic) as _,
            wiring: Arc::clone(&self.wiring) as _,
            announcer: Arc::clone(&bus) as _,
            failure_logs: folder.failures(),
            watch_window: WATCH_WINDOW,
        };
        let engine = Engine::start(parts, self.generations.clone());
        Arc::new(PlatformControl {
            engine,
            traffic: Arc::clone(&self.traffic),
            gateway: self.gateway.clone(),
            since: Instant::now(),
            bus,
            runtime: ground.runtime.kind().to_string(),
            runtime_reason: ground.reason.clone(),
            url,
            watching: ground.watching,
            certificates,
            stop: CancellationToken::new(),
            begun: CancellationToken::new(),
            watch: OnceLock::new(),
            refused: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        })
    }
}

pub struct Running {
    pub(super) control: Arc<PlatformControl>,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) docker_host: Option<String>,
    pub(super) ending: EndsWhenDropped,
    impatient: CancellationToken,
    pub(super) tasks: TaskTracker,
    pub(super) admin: AdminDoor,
    pub(super) sockets: Arc<Sockets>,
    pub(super) post: Option<Post>,
    pub(super) recorder: Recorder,
    pub(super) lock: Lock,
}

impl Running {
    /// Opens every door of a platform. Nothing runs behind them until the first change is asked for, or
    /// what another process has run so far.
    pub async fn start(
        platform: Arc<Platform>,
        folder: &StateFolder,
        mut doors: Doors,
        ground: Ground,
    ) -> Result<Self, StartError> {
        let certificates = open_certificates(&platform, folder).await?;
        let interior = Interior::open(&platform, folder, &ground.runtime).await?;
        let inherited = doors.inheritance.take();
        if inherited.is_none() {
            interior.wiring.prepare(&platform).await.map_err(StartError::Door)?;
        }
        let url = doors.public.url(certificates.as_deref());
        let control = interior.control(folder, &ground, url, certificates.clone());
        let served: Arc<dyn Control> = Arc::clone(&control) as _;
        let admin = AdminDoor::new(doors.admin, served).map_err(StartError::Sockets)?;
        let Interior { gateway, wiring, ending, tasks, sockets, .. } = interior;
        let Ground { runtime, docker_host, watching, .. } = ground;
        let (lock, post) = (doors.lock, doors.post);
        doors.public.keep_in(&sockets);
        if let Some(inherited) = inherited {
            let wishes = inherited.accept(runtime.as_ref(), &control.traffic, &wiring).await?;
            // Nothing may fail from here on: this process is the platform's now.
            claim(&admin, post.as_ref(), &lock);
            control.go_on(platform, wishes);
        }
        // Not before the platform is its own: its predecessor writes the same history until then.
        let recorder = Recorder::start(folder, &control.bus, control.traffic.catalog());
        collector::start(folder, &control.bus, &runtime, &control.traffic, recorder.clone());
        let public = doors.public.listeners(certificates.as_deref());
        let ended = ending.clone();
        tasks.spawn(async move {
            ended.closed(gateway::run(public, gateway, ended.heard()).await);
        });
        if let Some(certificates) = certificates {
            let metrics = Arc::clone(control.gateway.metrics());
            tasks.spawn(certificates.follow(Arc::clone(&control.traffic), metrics, ending.token()));
        }
        if watching == Watching::On {
            tokio::spawn(watching::run(Arc::clone(&control)));
        }
        admin.open();
        control.bus.announce(EventKind::GatewayListening { url: control.url.clone() });
        let (impatient, ending) = (CancellationToken::new(), EndsWhenDropped(ending));
        Ok(Self {
            control,
            runtime,
            docker_host,
            ending,
            impatient,
            tasks,
            admin,
            sockets,
            post,
            recorder,
            lock,
        })
    }

    #[must_use]
    pub fn url(&self) -> &str {
        &self.control.url
    }

    #[must_use]
    pub fn control(&self) -> Arc<dyn Control> {
        Arc::clone(&self.control) as _
    }

    /// Completes when somebody at the admin door wants the platform to end.
    pub async fn asked_to_stop(&self) {
        self.control.stop.cancelled().await;
    }

    /// Completes when nobody has asked for anything for a long time after the start.
    pub async fn abandoned(&self) {
        if tokio::time::timeout(PATIENCE, self.control.begun.cancelled()).await.is_ok() {
            std::future::pending().await
        }
    }

    /// Withdraws, drains and removes every instance, then closes the doors. Whoever waits for an answer
    /// is still given it.
    pub async fn stop(&self) -> Outcome {
        let outcome = tokio::select! {
            // Whichever is dropped leaves nothing undone: the other one removes the same instances.
            report = self.control.engine.stop() => report.map(Outcome::from).unwrap_or_default(),
            outcome = self.kill_when_impatient() => outcome,
        };
        self.close_doors();
        self.tasks.close();
        // The gateway has a deadline of its own for open requests.
        tokio::join!(self.tasks.wait(), self.control.traffic.dismiss_predecessor(DISMISSAL));
        self.ending.0.report();
        tokio::join!(write_access_log(&self.control), self.recorder.flush());
        self.control.bus.close();
        self.admin.close().await;
        outcome
    }

    /// Makes a [`Self::stop`] that is under way kill instead of wait.
    pub fn hurry(&self) {
        self.impatient.cancel();
        self.close_doors();
    }

    fn close_doors(&self) {
        self.sockets.let_go();
        self.ending.0.tell(Farewell::Ends);
    }

    async fn kill_when_impatient(&self) -> Outcome {
        self.impatient.cancelled().await;
        let observed = match self.runtime.observe().await {
            Ok(observed) => observed,
            Err(error) => return Outcome { blind: Some(error.into()), ..Outcome::default() },
        };
        let kills = observed.instances.iter().map(|instance| async move {
            self.runtime.stop(&instance.name, Duration::ZERO).await?;
            self.runtime.remove(&instance.name).await
        });
        let failed =
            join_all(kills).await.into_iter().zip(&observed.instances).filter_map(|(killed, instance)| {
                killed.err().map(|error| (instance.name.service.to_string(), Failure::from(error)))
            });
        Outcome { failed: failed.collect(), ..Outcome::default() }
    }
}

/// What was noted last is not written yet, and the process is about to end.
pub(super) async fn write_access_log(control: &PlatformControl) {
    if let Some(log) = control.gateway.access_log().cloned() {
        // Ends early only together with the process.
        let _ = tokio::task::spawn_blocking(move || log.flush()).await;
    }
}
