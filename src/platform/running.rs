//! A platform that runs in this process: bound, built and spawned in order, and stopped in the
//! reverse one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use futures_util::future::{BoxFuture, join_all};
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;

use super::bus::Bus;
use super::certificates::{Certificates, TlsError};
use super::control::PlatformControl;
use super::folder::{Lock, StateFolder};
use super::port_holder::describe_port;
use super::traffic::Traffic;
use super::wiring::{House, Wiring};
use crate::admin::{Control, server};
use crate::auth::{Auth, AuthError, AuthOptions};
use crate::engine::ports::{Announcer, Wiring as _};
use crate::engine::{Engine, EngineParts};
use crate::gateway::{self, Body, Door, Embedded, EmbeddedService, Gateway, Listener, Workers};
use crate::model::event::{EventKind, Failure};
use crate::model::exit::ExitCode;
use crate::model::outcome::Outcome;
use crate::model::platform::Platform;
use crate::runtime::{Runtime, RuntimeError};

/// How long a process that was started for somebody waits for that somebody's first wish.
const PATIENCE: Duration = Duration::from_secs(60);

/// What keeps a platform from starting. No instance runs then; the platform's empty network may be
/// left, for the next start or for `down`.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the gateway cannot listen on {listen}: {source}{holder}")]
    Gateway { listen: SocketAddr, source: std::io::Error, holder: String },
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
            Self::Admin { .. } => Some("set MSCTL_STATE_DIR to a folder with a short path".to_owned()),
            Self::Runtime(error) => error.hint().map(str::to_owned),
            Self::Tls(error) => error.hint(),
            Self::Auth(_) | Self::Door(_) | Self::Workers(_) => None,
        }
    }
}

/// Where the platform is to run, and the sentence that says why there.
pub struct Ground {
    pub runtime: Arc<dyn Runtime>,
    pub reason: String,
}

pub struct Running {
    control: Arc<PlatformControl>,
    runtime: Arc<dyn Runtime>,
    shutdown: CancellationToken,
    impatient: CancellationToken,
    tasks: TaskTracker,
    admin: tokio::task::JoinHandle<()>,
    _lock: Lock,
}

impl Running {
    /// Opens every door of a platform. Nothing runs behind them until the first change is asked for.
    pub async fn start(
        platform: Arc<Platform>,
        folder: &StateFolder,
        lock: Lock,
        ground: Ground,
    ) -> Result<Self, StartError> {
        let Ground { runtime, reason } = ground;
        let certificates = open_certificates(&platform, folder).await?;
        let (public, url) = open_public(&platform, certificates.as_deref()).await?;
        let socket = folder.socket();
        let admin = server::bind(&socket).map_err(|source| StartError::Admin { path: socket, source })?;
        let auth = Arc::new(open_auth(&platform, folder).await?);
        let underlay = runtime.prepare().await?;
        folder.remember_runtime(&runtime.kind().to_string());

        let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
        let traffic = Arc::new(Traffic::new(Arc::clone(&platform)));
        let workers = Workers::start().map_err(StartError::Workers)?;
        let gateway = Gateway::new(traffic.tables(), auth.verifier(), embedded(&auth))
            .with_workers(Arc::new(workers))
            .with_trusted_proxies(&platform.gateway.trusted_proxies);
        let house = House {
            runtime: Arc::clone(&runtime),
            gateway: gateway.clone(),
            auth,
            shutdown: shutdown.clone(),
            tasks: tasks.clone(),
        };
        let wiring = Arc::new(Wiring::new(&underlay, folder.process(), house));
        wiring.prepare(&platform).await.map_err(StartError::Door)?;
        let bus = Arc::new(Bus::default());
        let engine = Engine::start(EngineParts {
            runtime: Arc::clone(&runtime),
            traffic: Arc::clone(&traffic) as _,
            wiring,
            announcer: Arc::clone(&bus) as _,
            failure_logs: folder.failures(),
        });
        let control = Arc::new(PlatformControl {
            engine,
            traffic,
            bus: Arc::clone(&bus),
            runtime: runtime.kind().to_string(),
            runtime_reason: reason,
            url,
            certificates: certificates.clone(),
            stop: CancellationToken::new(),
            begun: CancellationToken::new(),
        });

        if let Some(certificates) = certificates {
            tasks.spawn(certificates.follow(Arc::clone(&control.traffic), shutdown.clone()));
        }
        let ended = shutdown.clone();
        tasks.spawn(async move {
            gateway::run(public, gateway, ended.cancelled()).await;
        });
        let served: Arc<dyn Control> = Arc::clone(&control) as _;
        let admin = tokio::spawn(async move {
            // Ends by being aborted: its streams last as long as the platform.
            if let Err(error) = server::run(admin, served, std::future::pending()).await {
                tracing::error!(%error, "the admin socket failed");
            }
        });
        bus.announce(EventKind::GatewayListening { url: control.url.clone() });
        Ok(Self {
            control,
            runtime,
            shutdown,
            impatient: CancellationToken::new(),
            tasks,
            admin,
            _lock: lock,
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

    /// Withdraws, drains and removes every instance, then closes the doors.
    pub async fn stop(&self) -> Outcome {
        let outcome = tokio::select! {
            // Whichever is dropped leaves nothing undone: the other one removes the same instances.
            report = self.control.engine.stop() => report.map(Outcome::from).unwrap_or_default(),
            outcome = self.kill_when_impatient() => outcome,
        };
        self.shutdown.cancel();
        self.tasks.close();
        // The gateway has a deadline of its own for open requests.
        self.tasks.wait().await;
        outcome
    }

    /// Makes a [`Self::stop`] that is under way kill instead of wait.
    pub fn hurry(&self) {
        self.impatient.cancel();
        self.shutdown.cancel();
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

impl Drop for Running {
    fn drop(&mut self) {
        self.admin.abort();
        self.shutdown.cancel();
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

/// The sockets that clients come to, and the URL to tell them.
async fn open_public(
    platform: &Platform,
    certificates: Option<&Certificates>,
) -> Result<(Vec<Listener>, String), StartError> {
    let settings = &platform.gateway;
    let socket = bind_gateway(settings.listen).await?;
    let address = socket.local_addr().unwrap_or(settings.listen);
    let tls = certificates.map(Certificates::tls);
    let scheme = if tls.is_some() { "https" } else { "http" };
    let mut listeners = vec![Listener { socket, door: Door::Public, tls }];
    if let Some(from) = settings.redirect_from {
        let door = Door::Redirect { port: address.port() };
        listeners.push(Listener::in_clear(bind_gateway(from).await?, door));
    }
    Ok((listeners, format!("{scheme}://{address}")))
}

async fn bind_gateway(listen: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(listen).await.map_err(|source| StartError::Gateway {
        listen,
        source,
        holder: describe_port(listen.port()),
    })
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

/// Auth answers on the public door under its own prefixes, and inside wherever the platform itself
/// is addressed.
fn embedded(auth: &Auth) -> Embedded {
    let handler: Arc<dyn EmbeddedService> = Arc::new(InProcess(auth.router()));
    let prefixes = ["/auth", "/.well-known"].map(|prefix| prefix.parse().expect("a valid prefix"));
    let public = prefixes.into_iter().map(|prefix| (prefix, Arc::clone(&handler))).collect();
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
