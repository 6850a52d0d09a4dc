//! How deployments follow from what happens: `step(event) → the deployments that this has changed`.
//!
//! Pure, and bounded: of each service only what may still change is remembered, and its latest
//! deployment. Whoever keeps the rest writes down what each step gives. What the engine says of a
//! deployment counts; where it says nothing, the steps tell.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::catalog::{Catalog, EndpointState};
use super::deployment::{Beginning, Deployment};
use super::event::{Event, EventKind, Wish};

mod track;

use track::Track;

/// What is remembered of a platform's deployments.
#[derive(Debug, Default)]
pub struct History {
    tracks: BTreeMap<String, Track>,
}

impl History {
    /// Goes on where another process has stopped: `kept` are the latest deployments of each service and
    /// those that were not over, oldest first; `catalog` is who takes requests right now.
    #[must_use]
    pub fn resume(kept: Vec<Deployment>, catalog: &Catalog) -> Self {
        let mut history = Self::default();
        for deployment in kept {
            history.track(&deployment.service.clone()).keep(deployment);
        }
        for endpoint in catalog.endpoints().filter(|endpoint| endpoint.state == EndpointState::Ready) {
            history.track(endpoint.instance.service.as_str()).serves(&endpoint.instance);
        }
        history
    }

    /// Takes note of what happened; gives the deployments that differ by it, as they are now.
    #[must_use]
    pub fn step(&mut self, event: &Event) -> Vec<Deployment> {
        let (at, kind) = (event.at, &event.kind);
        match kind {
            EventKind::Asked { change, services } => self.ask(*change, services),
            EventKind::DeploymentBegun(beginning) => self.begin(beginning),
            EventKind::DeploymentMade { service, generation, recipe } => {
                self.on(service, |track| track.made(*generation, recipe))
            }
            EventKind::DeploymentReached { service, generation, stage } => {
                self.on(service, |track| track.reach(*generation, *stage, at))
            }
            EventKind::DeploymentEnded { service, generation, outcome } => {
                self.on(service, |track| track.end(*generation, outcome, at))
            }
            EventKind::StepStarted { service, step, .. } => {
                self.on(service, |track| track.started(*step, kind.instance().as_ref(), at))
            }
            EventKind::StepFinished { service, step, .. } => {
                self.on(service, |track| track.finished(*step, kind.instance().as_ref(), at))
            }
            EventKind::StepFailed { service, step, failure, .. } => {
                self.on(service, |track| track.failed(*step, kind.instance().as_ref(), failure, at))
            }
            EventKind::Built { service, shipped_in, .. } => {
                self.on(service, |track| track.built(at.checked_sub(*shipped_in).unwrap_or(at), at))
            }
            EventKind::InstanceExited { service, .. } => {
                self.on(service, |track| kind.instance().iter().for_each(|instance| track.lost(instance)))
            }
            EventKind::Settled { .. } => self.on_all(Track::settle),
            EventKind::Stopping => self.on_all(Track::give_up),
            EventKind::GatewayListening { .. }
            | EventKind::Planned { .. }
            // The newer one that it was given up for tells that it is superseded.
            | EventKind::StepGivenUp { .. }
            | EventKind::LastWords { .. }
            | EventKind::BuildOutput { .. }
            | EventKind::Noticed { .. }
            | EventKind::ManifestRefused { .. }
            | EventKind::ManifestFollowed
            | EventKind::EngineLost { .. }
            | EventKind::EngineBack
            | EventKind::Replaced
            | EventKind::Unknown => Vec::new(),
        }
    }

    /// Everything is gone, and nobody has told how.
    #[must_use]
    pub fn take_down(&mut self, at: SystemTime) -> Vec<Deployment> {
        self.on_all(|track| track.take_down(at))
    }

    fn begin(&mut self, beginning: &Beginning) -> Vec<Deployment> {
        self.on(&beginning.service, |track| track.begin(beginning.clone()))
    }

    fn ask(&mut self, wish: Wish, services: &[String]) -> Vec<Deployment> {
        if services.is_empty() {
            return self.on_all(|track| track.ask(wish));
        }
        services.iter().flat_map(|service| self.on(service, |track| track.ask(wish))).collect()
    }

    fn on(&mut self, service: &str, change: impl FnOnce(&mut Track)) -> Vec<Deployment> {
        let track = self.track(service);
        change(track);
        track.changed()
    }

    fn on_all(&mut self, change: impl Fn(&mut Track)) -> Vec<Deployment> {
        self.tracks.values_mut().for_each(change);
        self.tracks.values_mut().flat_map(Track::changed).collect()
    }

    fn track(&mut self, service: &str) -> &mut Track {
        self.tracks.entry(service.to_owned()).or_insert_with(|| Track::of(service))
    }
}

#[cfg(test)]
mod tests;
