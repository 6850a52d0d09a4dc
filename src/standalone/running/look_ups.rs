//! Where the endpoints are, and which of them can be given requests.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::Running;
use crate::gateway::Site;
use crate::gateway::site::SiteService;
use crate::model::name::ServiceName;
use crate::model::standalone::{Configuration, Probing, StaticService};
use crate::standalone::health::Question;
use crate::standalone::members::Spot;

/// How long a configuration waits for the first answers of new endpoints.
const FIRST_ANSWERS: Duration = Duration::from_secs(1);
/// How often host names are looked up again.
const LOOK_UP: Duration = Duration::from_secs(30);

impl Running {
    pub(super) async fn look_up(&mut self) {
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
        self.look_up_at = Instant::now() + LOOK_UP;
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
