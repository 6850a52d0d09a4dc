//! A gateway that runs, from its first configuration through others to its end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::{Instant, sleep};

use self::keys::Keys;
use super::access_logs::AccessLogs;
use super::admin::Admin;
use super::certificates;
use super::doors::{Doors, Wanted};
use super::error::StandaloneError;
use super::fleet::Fleet;
use super::health::Probes;
use super::resolve::Names;
use super::status::{Report, Status};
use super::succession::Succession;
use super::tokens::Tokens;
use crate::gateway::{Body, Door, Embedded, EmbeddedService, Farewell, Gateway, Limits, Workers};
use crate::model::platform::GatewaySettings;
use crate::model::standalone::Configuration;

mod keys;
mod look_ups;

/// How often certificates are had anew: the local authority's end.
const RENEW: Duration = Duration::from_secs(24 * 3600);

/// How a gateway ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Requests and tunnels that were still open at the deadline.
    pub cut_off: usize,
}

pub struct Running {
    configuration: Configuration,
    /// Below which the local authority is kept.
    base: Option<PathBuf>,
    status: Arc<Status>,
    tokens: Arc<Tokens>,
    fleet: Arc<Fleet>,
    gateway: Gateway,
    /// Behind the admin listener.
    admin_gateway: Gateway,
    pub(super) logs: AccessLogs,
    pub(super) doors: Doors,
    pub(super) admin: Doors,
    pub(super) succession: Succession,
    names: Names,
    probes: Probes,
    look_up_at: Instant,
    fetch_keys_at: Option<Instant>,
    renew_at: Instant,
}

impl Running {
    /// Opens the doors once the first endpoints are known to answer, or after a second. A local
    /// authority is kept below `base`. With a path for the handover the sockets are taken over from
    /// whoever serves there, and can be passed on there.
    ///
    /// # Errors
    /// When an address cannot be listened on, keys cannot be read, or the system gives no threads.
    pub async fn start(
        configuration: Configuration,
        base: Option<PathBuf>,
        handover: Option<&Path>,
    ) -> Result<Self, StandaloneError> {
        let (succession, doors, admin_doors) = match handover {
            Some(path) => Succession::begin(path).await?,
            None => Default::default(),
        };
        let limits = Limits { shutdown: configuration.shutdown.timeout, ..Limits::default() };
        let limits = limits.within_descriptors();
        let (status, tokens) = (Arc::<Status>::default(), Arc::<Tokens>::default());
        let fleet = Arc::new(Fleet::new(limits.clone()));
        let (gateway, admin_gateway) = gateways(&limits, &status, &tokens, &fleet)?;
        let mut running = Self {
            configuration: configuration.clone(),
            base,
            status,
            tokens,
            fleet,
            gateway,
            admin_gateway,
            logs: AccessLogs::default(),
            doors,
            admin: admin_doors,
            succession,
            names: Names::default(),
            probes: Probes::default(),
            look_up_at: Instant::now(),
            fetch_keys_at: None,
            renew_at: Instant::now() + RENEW,
        };
        running.follow(configuration).await?;
        if let Some(path) = handover {
            running.succession.welcome(path)?;
        }
        Ok(running)
    }

    /// Goes by another configuration from now on. Nothing has changed if that fails.
    ///
    /// # Errors
    /// When an address cannot be listened on, or keys cannot be read.
    pub async fn follow(&mut self, configuration: Configuration) -> Result<(), StandaloneError> {
        let keys = self.keys_of(&configuration).await?;
        let listeners = self.listeners(&configuration).await?;
        let bound = self.doors.bind(listeners, &Door::Public)?;
        let admin = configuration.admin.map(|address| in_clear(GatewaySettings::at(address)));
        let bound_admin = self.admin.bind(admin.into_iter().collect(), &Door::Platform)?;

        if let Keys::These(keys) = keys {
            self.take_keys(keys, &configuration);
        }
        self.configuration = configuration;
        self.look_up().await;
        self.succession.accept().await?;
        self.doors.follow(bound, &self.gateway);
        self.admin.follow(bound_admin, &self.admin_gateway);
        self.keep_logs();
        self.status.follows_another();
        Ok(())
    }

    /// A configuration was not good enough to follow.
    pub fn refuse(&mut self, reason: String) {
        self.keep_logs();
        self.gateway.metrics().configuration_refused();
        self.status.refuses(reason);
    }

    /// Does what is due by now: looks up names, fetches keys.
    pub async fn keep_up(&mut self) {
        let now = Instant::now();
        if self.look_up_at <= now {
            self.look_up().await;
        }
        if self.fetch_keys_at.is_some_and(|due| due <= now) {
            self.fetch_keys().await;
        }
        if self.renew_at <= now {
            self.renew().await;
        }
    }

    /// Where clients come in.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.doors.urls()
    }

    #[must_use]
    pub fn admin_url(&self) -> Option<String> {
        self.admin.urls().into_iter().next()
    }

    #[must_use]
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    #[must_use]
    pub fn report(&self) -> Report {
        self.status.report()
    }

    /// Services that no endpoint stands for right now.
    #[must_use]
    pub fn unserved(&self) -> Vec<String> {
        self.fleet.unserved()
    }

    /// Says that it is not ready, lets nobody new in, and ends when nothing is open or time is up.
    pub async fn stop(&mut self) -> Ended {
        self.status.stops();
        self.gateway.leave();
        sleep(self.configuration.shutdown.grace).await;
        let cut_off = self.doors.close(Farewell::Ends).await;
        // Until now it could be asked how far it is.
        self.admin.close(Farewell::Ends).await;
        self.logs.flush().await;
        Ended { cut_off }
    }

    async fn listeners(&mut self, configuration: &Configuration) -> Result<Vec<Wanted>, StandaloneError> {
        let credentials = certificates::load(configuration, self.base.clone()).await?;
        let wanted = |(settings, credential): (&GatewaySettings, _)| {
            let log = self.logs.at(&settings.access_log)?;
            Ok(Wanted { settings: settings.clone(), credential, log })
        };
        configuration.listeners.iter().zip(credentials).map(wanted).collect()
    }

    fn keep_logs(&mut self) {
        self.logs.keep(&self.configuration.listeners);
    }

    /// What was signed for a time is signed again before that is over.
    async fn renew(&mut self) {
        self.renew_at = Instant::now() + RENEW;
        let configuration = self.configuration.clone();
        let renewed = self.listeners(&configuration).await;
        match renewed.and_then(|listeners| self.doors.bind(listeners, &Door::Public)) {
            Ok(bound) => self.doors.follow(bound, &self.gateway),
            Err(error) => tracing::warn!(%error, "the gateway keeps its certificates"),
        }
    }
}

/// The one that clients come to, and the one behind the admin listener.
fn gateways(
    limits: &Limits,
    status: &Arc<Status>,
    tokens: &Arc<Tokens>,
    fleet: &Arc<Fleet>,
) -> Result<(Gateway, Gateway), StandaloneError> {
    let gateway = |internal: Arc<dyn EmbeddedService>| {
        let embedded = Embedded { public: Vec::new(), internal };
        Gateway::new(fleet.tables(), Arc::clone(tokens) as _, embedded).with_limits(limits.clone())
    };
    let workers = Workers::start().map_err(StandaloneError::Workers)?;
    let public = gateway(Arc::new(Nothing)).with_workers(Arc::new(workers));
    let (status, fleet) = (Arc::clone(status), Arc::clone(fleet));
    // Apart from the one that it tells of, or each would keep the other.
    let admin = gateway(Arc::new(Admin { gateway: public.clone(), status, fleet }));
    Ok((public, admin))
}

/// At a public door nothing of the gateway's own answers.
struct Nothing;

impl EmbeddedService for Nothing {
    fn call(&self, _: Request<Incoming>) -> BoxFuture<'_, Response<Body>> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_FOUND;
        Box::pin(std::future::ready(response))
    }
}

fn in_clear(settings: GatewaySettings) -> Wanted {
    Wanted { settings, credential: None, log: None }
}
