//! A platform that runs in this process: bound, built and spawned in order, and stopped in the
//! reverse one.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use futures_util::future::{BoxFuture, join_all};
use http::{Request, Response};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;

use super::admin_door::AdminDoor;
use super::bus::Bus;
use super::certificates::{Certificates, TlsError};
use super::control::PlatformControl;
use super::doors::Doors;
use super::ending::{Ending, EndsWhenDropped};
use super::folder::{Lock, StateFolder};
use super::sight;
use super::sockets::Sockets;
use super::succession::claim;
use super::traffic::Traffic;
use super::wiring::{House, Wiring};
use crate::admin::Control;
use crate::auth::{Auth, AuthError, AuthOptions};
use crate::engine::ports::{Announcer, Wiring as _};
use crate::engine::{Engine, EngineParts};
use crate::gateway::{self, AccessLog, Body, Embedded, EmbeddedService, Farewell, Gateway, Workers};
use crate::handover::{Post, TakeError};
use crate::model::event::{EventKind, Failure};
use crate::model::exit::ExitCode;
use crate::model::outcome::Outcome;
use crate::model::platform::{AccessLogTarget, Platform};
use crate::runtime::{Runtime, RuntimeError};

/// How long a process that was started for somebody waits for that somebody's first wish.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long an earlier process may take to end once it was told to.
pub(super) const DISMISSAL: Duration = Duration::from_secs(2);

/// What keeps a platform from starting. No instance runs then; the platform's empty network may be
/// left, for the next start or for `down`.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the gateway cannot listen on {listen}: {source}{holder}")]
    Gateway { listen: SocketAddr, source: std::io::Error, holder: String },
    /// Only a fresh start listens elsewhere.
    #[error("gateway.listen has changed, and the running platform cannot follow that")]
    Moved,
    #[error(transparent)]
    Handover(#[from] TakeError),
    #[error("cannot use the sockets of the platform: {0}")]
    Sockets(std::io::Error),
    #[error("cannot write the access log to {path}: {source}")]
    AccessLog { path: PathBuf, source: std::io::Error },
    #[error("cannot open the admin socket {path}: {source}")]
    Admin { path: std::path::PathBuf, source: std::io::Error },
    #[error("failed to {0}")]
    Auth(#[from] AuthError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error("cannot start the gateway's threads: {0}")]
    Workers(std::io::Error),
    #[error("the internal door: {0}")]
    Door(String),
}

impl StartError {
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Gateway { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
                ExitCode::Conflict
            }
            Self::Runtime(error) if error.is_unreachable() => ExitCode::EngineUnreachable,
            _ => ExitCode::Failed,
        }
    }

    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Gateway { .. } => Some(
                "stop that process, or set another address under [gateway] listen in msctl.toml".to_owned(),
            ),
            Self::AccessLog { .. } => {
                Some("set another file under [gateway] access_log in msctl.toml, or \"off\"".to_owned())
            }
            Self::Admin { .. } => Some("set MSCTL_STATE_DIR to a folder with a short path".to_owned()),
            Self::Runtime(error) => error.hint().map(str::to_owned),
            Self::Tls(error) => error.hint(),
            Self::Moved => Some("stop it with: msctl down, and start it again".to_owned()),
            Self::Auth(_) | Self::Door(_) | Self::Workers(_) | Self::Handover(_) | Self::Sockets(_) => None,
        }
    }
}

/// Where the platform is to run, and the sentence that says why there.
pub struct Ground {
    pub runtime: Arc<dyn Runtime>,
    pub reason: String,
    /// The engine's address, where one was named.
    pub docker_host: Option<String>,
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
        let Ground { runtime, reason, docker_host } = ground;
        let certificates = open_certificates(&platform, folder).await?;
        let auth = Arc::new(open_auth(&platform, folder).await?);
        let underlay = runtime.prepare().await?;
        folder.remember_runtime(&runtime.kind().to_string());

        let (ending, tasks, sockets) = (Ending::default(), TaskTracker::new(), Arc::<Sockets>::default());
        let traffic = Arc::new(Traffic::new(Arc::clone(&platform)));
        let workers = Workers::start().map_err(StartError::Workers)?;
        let gateway = Gateway::new(traffic.tables(), auth.verifier(), embedded(&auth))
            .with_workers(Arc::new(workers))
            .with_trusted_proxies(&platform.gateway.trusted_proxies)
            .with_hsts(platform.gateway.hsts);
        let gateway = match open_access_log(&platform, folder)? {
            Some(log) => gateway.with_access_log(log),
            None => gateway,
        };
        let house = House {
            runtime: Arc::clone(&runtime),
            gateway: gateway.clone(),
            auth,
            ending: ending.clone(),
            tasks: tasks.clone(),
            sockets: Arc::clone(&sockets),
        };
        let wiring = Arc::new(Wiring::new(&underlay, folder.process(), house));
        let inherited = doors.inheritance.take();
        if inherited.is_none() {
            wiring.prepare(&platform).await.map_err(StartError::Door)?;
        }
        let bus = Arc::new(Bus::default());
        let engine = Engine::start(EngineParts {
            runtime: Arc::clone(&runtime),
            traffic: Arc::clone(&traffic) as _,
            wiring: Arc::clone(&wiring) as _,
            announcer: Arc::clone(&bus) as _,
            failure_logs: folder.failures(),
        });
        let control = Arc::new(PlatformControl {
            engine,
            traffic,
            gateway: gateway.clone(),
            since: Instant::now(),
            bus: Arc::clone(&bus),
            runtime: runtime.kind().to_string(),
            runtime_reason: reason,
            url: doors.public.url(certificates.as_deref()),
            certificates: certificates.clone(),
            stop: CancellationToken::new(),
            begun: CancellationToken::new(),
        });
        let served: Arc<dyn Control> = Arc::clone(&control) as _;
        let admin = AdminDoor::new(doors.admin, served).map_err(StartError::Sockets)?;
        let (lock, post) = (doors.lock, doors.post);
        doors.public.keep_in(&sockets);
        if let Some(inherited) = inherited {
            let wishes = inherited.accept(runtime.as_ref(), &control.traffic, &wiring).await?;
            // Nothing may fail from here on: this process is the platform's now.
            claim(&admin, post.as_ref(), &lock);
            control.go_on(platform, wishes);
        }
        let public = doors.public.listeners(certificates.as_deref());
        let ended = ending.clone();
        tasks.spawn(async move {
            gateway::run(public, gateway, ended.heard()).await;
        });
        if let Some(certificates) = certificates {
            tasks.spawn(certificates.follow(Arc::clone(&control.traffic), ending.token()));
        }
        admin.open();
        bus.announce(EventKind::GatewayListening { url: control.url.clone() });
        let (impatient, ending) = (CancellationToken::new(), EndsWhenDropped(ending));
        Ok(Self { control, runtime, docker_host, ending, impatient, tasks, admin, sockets, post, lock })
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

    /// Withdraws, drains and removes every instance, then closes the doors.
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
        self.write_access_log().await;
        outcome
    }

    /// What was noted last is not written yet, and the process is about to end.
    async fn write_access_log(&self) {
        if let Some(log) = self.control.gateway.access_log().cloned() {
            // Ends early only together with the process.
            let _ = tokio::task::spawn_blocking(move || log.flush()).await;
        }
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

async fn open_certificates(
    platform: &Arc<Platform>,
    folder: &StateFolder,
) -> Result<Option<Arc<Certificates>>, StartError> {
    let (platform, base) = (Arc::clone(platform), folder.base().to_owned());
    let opened =
        tokio::task::spawn_blocking(move || Certificates::open(&platform, &base, SystemTime::now())).await;
    let opened = opened.map_err(|error| StartError::Door(error.to_string()))?;
    Ok(opened?.map(Arc::new))
}

async fn open_auth(platform: &Arc<Platform>, folder: &StateFolder) -> Result<Auth, StartError> {
    let (platform, folder) = (Arc::clone(platform), folder.auth());
    let opened = tokio::task::spawn_blocking(move || {
        Auth::open(AuthOptions { folder: &folder, platform: &platform.id.name, settings: &platform.auth })
    });
    let auth = opened.await.map_err(|error| StartError::Door(error.to_string()))??;
    if let Some(path) = auth.quarantined() {
        tracing::warn!(path = %path.display(), "the account database was damaged; it was set aside and a new one begun");
    }
    Ok(auth)
}

/// So much of the access log is kept twice: the file itself, and an older one.
const ACCESS_LOG: u64 = 16 * 1024 * 1024;

fn open_access_log(platform: &Platform, folder: &StateFolder) -> Result<Option<AccessLog>, StartError> {
    let (path, opened) = match &platform.gateway.access_log {
        AccessLogTarget::Off => return Ok(None),
        AccessLogTarget::Stderr => (PathBuf::from("stderr"), AccessLog::to_writer(std::io::stderr())),
        AccessLogTarget::StateFolder => {
            let path = folder.access_log();
            let opened = AccessLog::to_bounded_file(&path, ACCESS_LOG);
            (path, opened)
        }
        AccessLogTarget::File(path) => {
            let path = platform.root.join(path);
            let opened = AccessLog::to_file(&path);
            (path, opened)
        }
    };
    opened.map(Some).map_err(|source| StartError::AccessLog { path, source })
}

/// Auth answers on the public door under its own prefixes, and inside wherever the platform itself
/// is addressed.
fn embedded(auth: &Auth) -> Embedded {
    let handler: Arc<dyn EmbeddedService> = Arc::new(InProcess(auth.router()));
    let public = sight::own_prefixes().into_iter().map(|prefix| (prefix, Arc::clone(&handler))).collect();
    Embedded { public, internal: handler }
}

/// An axum router as a part of the gateway.
struct InProcess(Router);

impl EmbeddedService for InProcess {
    fn call(&self, request: Request<Incoming>) -> BoxFuture<'_, Response<Body>> {
        let mut router = self.0.clone();
        Box::pin(async move {
            // A router is always ready, and its error type has no values.
            let Ok(response) = Service::call(&mut router, request).await;
            response.map(Body::boxed)
        })
    }
}
