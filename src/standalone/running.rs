//! A gateway that runs, from its first configuration through others to its end.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::{BoxFuture, join_all};
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time::{sleep, timeout};

use super::doors::Doors;
use super::error::StandaloneError;
use super::fleet::Fleet;
use super::health::{Probes, Question};
use super::members::Spot;
use super::resolve::Names;
use crate::gateway::site::SiteService;
use crate::gateway::{Body, Door, Embedded, EmbeddedService, Gateway, Limits, Site, Workers};
use crate::model::name::ServiceName;
use crate::model::principal::{Principal, TokenRejection, TokenVerifier};
use crate::model::standalone::{Configuration, Probing, StaticService};

/// How long a configuration waits for the first answers of new endpoints.
const FIRST_ANSWERS: Duration = Duration::from_secs(1);

/// How a gateway ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Requests and tunnels that were still open at the deadline.
    pub cut_off: usize,
}

pub struct Running {
    configuration: Configuration,
    fleet: Arc<Fleet>,
    gateway: Gateway,
    doors: Doors,
    names: Names,
    probes: Probes,
}

impl Running {
    /// Opens the doors once the first endpoints are known to answer, or after a second.
    ///
    /// # Errors
    /// When an address cannot be listened on, or the system gives no threads.
    pub async fn start(configuration: Configuration) -> Result<Self, StandaloneError> {
        let limits = Limits { shutdown: configuration.shutdown.timeout, ..Limits::default() };
        let fleet = Arc::new(Fleet::new(limits.clone()));
        let embedded = Embedded { public: Vec::new(), internal: Arc::new(Nothing) };
        let workers = Workers::start().map_err(StandaloneError::Workers)?;
        let gateway = Gateway::new(fleet.tables(), Arc::new(NoTokens), embedded)
            .with_limits(limits)
            .with_workers(Arc::new(workers));
        let mut running = Self {
            configuration: configuration.clone(),
            fleet,
            gateway,
            doors: Doors::default(),
            names: Names::default(),
            probes: Probes::default(),
        };
        running.follow(configuration).await?;
        Ok(running)
    }

    /// Goes by another configuration from now on. Nothing has changed if that fails.
    ///
    /// # Errors
    /// When an address cannot be listened on.
    pub async fn follow(&mut self, configuration: Configuration) -> Result<(), StandaloneError> {
        let addresses: Vec<_> = configuration.listeners.iter().map(|listener| listener.listen).collect();
        let bound = self.doors.bind(&addresses).await?;
        self.configuration = configuration;
        self.look_up().await;
        self.doors.open(bound, &Door::Public, &self.gateway);
        self.doors.keep_only(&addresses);
        Ok(())
    }

    /// Asks for the addresses of all endpoints, and goes by the answers.
    pub async fn look_up(&mut self) {
        for fault in self.names.refresh(&self.configuration).await {
            tracing::warn!("{fault}");
        }
        let spots = self.spots();
        let ready = self.ready(&spots).await;
        self.fleet.follow(site(&self.configuration), &spots, &ready);
        let members = self.fleet.members().into_iter();
        let asked = members.filter_map(|member| Some((self.question(&member.name.service)?, member)));
        let asked = asked.collect();
        self.probes.follow(&self.fleet, asked);
    }

    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.doors.addresses()
    }

    /// Services that no endpoint stands for right now.
    #[must_use]
    pub fn unserved(&self) -> Vec<String> {
        self.fleet.unserved()
    }

    /// Says that it is not ready, lets nobody new in, and ends when nothing is open or time is up.
    pub async fn stop(&mut self) -> Ended {
        sleep(self.configuration.shutdown.grace).await;
        Ended { cut_off: self.doors.close().await }
    }

    fn spots(&self) -> BTreeSet<Spot> {
        let mut spots = BTreeSet::new();
        for service in &self.configuration.services {
            for endpoint in &service.endpoints {
                let at = self.names.addresses(&endpoint.url).map(|address| Spot {
                    service: service.name.clone(),
                    generation: endpoint.generation,
                    address,
                });
                spots.extend(at);
            }
        }
        spots
    }

    /// Which of these can be given requests right now: all whom nobody is to ask, and those new
    /// ones that answer well.
    async fn ready(&self, spots: &BTreeSet<Spot>) -> BTreeSet<Spot> {
        let unasked = spots.iter().filter(|spot| self.question(&spot.service).is_none()).cloned();
        let new = self.fleet.missing(spots).into_iter();
        let asked = new.filter_map(|spot| Some((self.question(&spot.service)?, spot)));
        let answers = join_all(asked.map(|(question, spot)| first_answer(question, spot))).await;
        unasked.chain(answers.into_iter().flatten()).collect()
    }

    fn question(&self, service: &ServiceName) -> Option<Question> {
        let service = self.configuration.services.iter().find(|known| known.name == *service)?;
        match &service.probing {
            Probing::Off => None,
            Probing::On(policy) => {
                Some(Question { policy: policy.clone(), protocol: service.traffic.protocol })
            }
        }
    }
}

async fn first_answer(question: Question, spot: Spot) -> Option<Spot> {
    let answer = timeout(FIRST_ANSWERS, question.ask(spot.address)).await;
    let reason = match answer.unwrap_or_else(|_| Err("no answer yet".to_owned())) {
        Ok(()) => return Some(spot),
        Err(reason) => reason,
    };
    tracing::warn!(service = %spot.service, address = %spot.address, reason, "an endpoint is not ready");
    None
}

fn site(configuration: &Configuration) -> Site {
    let service = |service: &StaticService| SiteService {
        name: service.name.clone(),
        manifest: service.place.clone(),
        routes: service.routes.clone(),
        health: Vec::new(),
        calls: BTreeSet::new(),
        traffic: service.traffic.clone(),
    };
    Site { domain: None, services: configuration.services.iter().map(service).collect() }
}

/// Without a key nobody can show who they are.
struct NoTokens;

impl TokenVerifier for NoTokens {
    fn verify(&self, _: &str, _: SystemTime) -> Result<Principal, TokenRejection> {
        Err(TokenRejection::Signature)
    }
}

/// At a public door nothing of the gateway's own answers.
struct Nothing;

impl EmbeddedService for Nothing {
    fn call(&self, _: Request<Incoming>) -> BoxFuture<'_, Response<Body>> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = http::StatusCode::NOT_FOUND;
        Box::pin(std::future::ready(response))
    }
}
