//! What a platform process writes down for the one that replaces it: all that cannot be seen by
//! looking, and who takes requests, so that they can be routed at once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::addresses::Entrance;
use super::watching::Watching;
use crate::engine::Wishes;
use crate::model::catalog::{Catalog, Endpoint, EndpointState};
use crate::model::deployment::RecordedProgram;
use crate::model::desired::Pin;
use crate::model::instance::{BuildDigest, Generation, InstanceName};
use crate::model::name::ServiceName;

/// The names of the descriptors beside the note.
pub const PUBLIC: &str = "public";
pub const REDIRECT: &str = "redirect";
pub const ADMIN: &str = "admin";
pub const LOCK: &str = "lock";
const INSIDE: &str = "inside";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The runtime's name, why it is this one, and where it was asked for.
    pub runtime: String,
    pub reason: String,
    pub docker_host: Option<String>,
    /// Whether saved files are followed; not said by those that never did.
    #[serde(default)]
    pub watching: Watching,
    endpoints: Vec<EndpointNote>,
    /// `None` when nobody has asked for anything yet.
    wishes: Option<WishesNote>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct EndpointNote {
    service: String,
    generation: u32,
    replica: u16,
    address: SocketAddr,
    state: StateNote,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StateNote {
    Starting,
    Ready,
    Draining,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct WishesNote {
    scale: BTreeMap<String, u16>,
    restart_through: BTreeMap<String, u32>,
    last_generation: BTreeMap<String, u32>,
    #[serde(default)]
    pins: BTreeMap<String, PinNote>,
    #[serde(default)]
    digests: BTreeMap<String, String>,
    active: Option<BTreeSet<String>>,
}

/// What a service was rolled back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PinNote {
    program: RecordedProgram,
    digest: Option<String>,
    to: u32,
    over: Option<String>,
}

impl Note {
    #[must_use]
    pub fn new(
        runtime: String,
        reason: String,
        docker_host: Option<String>,
        watching: Watching,
        catalog: &Catalog,
        wishes: Option<&Wishes>,
    ) -> Self {
        let endpoints = catalog.endpoints().map(EndpointNote::of).collect();
        Self { runtime, reason, docker_host, watching, endpoints, wishes: wishes.map(WishesNote::of) }
    }

    /// Those that can be understood; what is left out is looked at anew like any other instance.
    pub fn endpoints(&self) -> impl Iterator<Item = Endpoint> {
        self.endpoints.iter().filter_map(EndpointNote::read)
    }

    #[must_use]
    pub fn wishes(&self) -> Option<Wishes> {
        self.wishes.as_ref().map(WishesNote::read)
    }
}

impl EndpointNote {
    fn of(endpoint: &Endpoint) -> Self {
        let Endpoint { instance, address, state } = endpoint;
        Self {
            service: instance.service.to_string(),
            generation: instance.generation.number(),
            replica: instance.replica,
            address: *address,
            state: match state {
                EndpointState::Starting => StateNote::Starting,
                EndpointState::Ready => StateNote::Ready,
                EndpointState::Draining => StateNote::Draining,
            },
        }
    }

    fn read(&self) -> Option<Endpoint> {
        let instance = InstanceName {
            service: self.service.parse().ok()?,
            generation: Generation::new(self.generation)?,
            replica: self.replica,
        };
        let state = match self.state {
            StateNote::Starting => EndpointState::Starting,
            StateNote::Ready => EndpointState::Ready,
            StateNote::Draining => EndpointState::Draining,
        };
        Some(Endpoint { instance, address: self.address, state })
    }
}

impl WishesNote {
    fn of(wishes: &Wishes) -> Self {
        let numbers = |generations: &BTreeMap<ServiceName, Generation>| {
            generations.iter().map(|(name, generation)| (name.to_string(), generation.number())).collect()
        };
        Self {
            scale: wishes.scale.iter().map(|(name, count)| (name.to_string(), *count)).collect(),
            restart_through: numbers(&wishes.restart_through),
            last_generation: numbers(&wishes.last_generation),
            digests: wishes.digests.iter().map(|(name, one)| (name.to_string(), one.0.clone())).collect(),
            pins: wishes.pins.iter().map(|(name, pin)| (name.to_string(), PinNote::of(pin))).collect(),
            active: wishes.active.as_ref().map(|names| names.iter().map(ToString::to_string).collect()),
        }
    }

    fn read(&self) -> Wishes {
        let generations = |numbers: &BTreeMap<String, u32>| {
            let known =
                |(name, number): (&String, &u32)| Some((name.parse().ok()?, Generation::new(*number)?));
            numbers.iter().filter_map(known).collect()
        };
        let count = |(name, count): (&String, &u16)| Some((name.parse().ok()?, *count));
        let pin = |(name, pin): (&String, &PinNote)| Some((name.parse().ok()?, pin.read()?));
        let digest = |(name, one): (&String, &String)| Some((name.parse().ok()?, BuildDigest(one.clone())));
        let names = |names: &BTreeSet<String>| names.iter().filter_map(|name| name.parse().ok()).collect();
        Wishes {
            scale: self.scale.iter().filter_map(count).collect(),
            restart_through: generations(&self.restart_through),
            last_generation: generations(&self.last_generation),
            pins: self.pins.iter().filter_map(pin).collect(),
            digests: self.digests.iter().filter_map(digest).collect(),
            active: self.active.as_ref().map(names),
        }
    }
}

impl PinNote {
    fn of(pin: &Pin) -> Self {
        Self {
            program: RecordedProgram::from(&pin.program),
            digest: pin.digest.as_ref().map(|digest| digest.0.clone()),
            to: pin.to.number(),
            over: pin.over.as_ref().map(|digest| digest.0.clone()),
        }
    }

    fn read(&self) -> Option<Pin> {
        Some(Pin {
            program: self.program.clone().into(),
            digest: self.digest.clone().map(BuildDigest),
            to: Generation::new(self.to)?,
            over: self.over.clone().map(BuildDigest),
        })
    }
}

/// The name of an inside listener's descriptor.
#[must_use]
pub fn entrance_name(entrance: &Entrance) -> String {
    match entrance {
        Entrance::Platform => INSIDE.to_owned(),
        Entrance::Call { caller, callee } => format!("{INSIDE} {caller} {callee}"),
    }
}

#[must_use]
pub fn entrance_named(name: &str) -> Option<Entrance> {
    let mut words = name.split(' ');
    match (words.next()?, words.next(), words.next(), words.next()) {
        (INSIDE, None, None, None) => Some(Entrance::Platform),
        (INSIDE, Some(from), Some(to), None) => {
            Some(Entrance::Call { caller: from.parse().ok()?, callee: to.parse().ok()? })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::instance::Program;

    #[test]
    fn what_is_written_down_is_read_back_after_a_journey_as_text() {
        let service: ServiceName = "order".parse().unwrap();
        let instance = InstanceName { service: service.clone(), generation: Generation::FIRST, replica: 2 };
        let states = [EndpointState::Starting, EndpointState::Ready, EndpointState::Draining];
        let endpoints: Vec<Endpoint> = states
            .into_iter()
            .map(|state| Endpoint { instance: instance.clone(), address: ([127, 0, 0, 1], 1).into(), state })
            .collect();
        let catalog = Catalog { version: 7, services: [(service.clone(), endpoints.clone())].into() };
        let pin = Pin {
            program: Program::Image { reference: "sha256:1".to_owned() },
            digest: Some(BuildDigest("d".to_owned())),
            to: Generation::FIRST,
            over: None,
        };
        let wishes = Wishes {
            scale: [(service.clone(), 3)].into(),
            restart_through: [(service.clone(), Generation::FIRST)].into(),
            last_generation: [(service.clone(), Generation::FIRST.next())].into(),
            pins: [(service.clone(), pin)].into(),
            digests: [(service.clone(), BuildDigest("d".to_owned()))].into(),
            active: Some([service].into()),
        };
        let docker_host = Some("unix:///x".to_owned());
        let note = Note::new(
            "process".into(),
            "as asked".into(),
            docker_host,
            Watching::Off,
            &catalog,
            Some(&wishes),
        );
        let read: Note = serde_json::from_value(serde_json::to_value(&note).unwrap()).unwrap();
        assert_eq!(read, note);
        assert_eq!(read.endpoints().collect::<Vec<_>>(), endpoints);
        assert_eq!(read.wishes(), Some(wishes));
    }

    #[test]
    fn every_entrance_has_a_name_of_its_own() {
        let call = Entrance::Call { caller: "a".parse().unwrap(), callee: "b".parse().unwrap() };
        for entrance in [Entrance::Platform, call] {
            assert_eq!(entrance_named(&entrance_name(&entrance)), Some(entrance));
        }
        for other in [PUBLIC, REDIRECT, ADMIN, LOCK, "inside a", "inside a b c", "inside A b"] {
            assert_eq!(entrance_named(other), None, "{other}");
        }
    }
}
