//! Which instances there are, and what each is called. Pure.
//!
//! A name stays with its address for as long as that is listed, whatever else comes and goes: what
//! the gateway knows of an instance is filed under both. A name is free again once everything of
//! its last bearer is over.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::model::catalog::{Catalog, Endpoint, EndpointState};
use crate::model::instance::{Generation, InstanceName};
use crate::model::name::ServiceName;

/// Where an instance should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    pub service: ServiceName,
    pub generation: Generation,
    pub address: SocketAddr,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub name: InstanceName,
    pub address: SocketAddr,
    pub state: EndpointState,
}

#[derive(Debug, Default)]
pub struct Members {
    version: u64,
    present: Vec<Member>,
    /// Listed no more, but still with requests.
    leaving: BTreeSet<InstanceName>,
}

impl Members {
    /// Those of `spots` where nobody is yet.
    pub fn missing<'s>(&self, spots: &'s BTreeSet<Spot>) -> Vec<&'s Spot> {
        let taken = |spot: &&Spot| self.present.iter().any(|member| member.spot() == **spot);
        spots.iter().filter(|spot| !taken(spot)).collect()
    }

    /// From now on exactly `spots` are there, and those in `ready` are. Gives who has left.
    pub fn follow(&mut self, spots: &BTreeSet<Spot>, ready: &BTreeSet<Spot>) -> Vec<InstanceName> {
        let (stay, leave): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.present).into_iter().partition(|member| spots.contains(&member.spot()));
        self.present = stay;
        let left: Vec<_> = leave.into_iter().map(|member| member.name).collect();
        self.leaving.extend(left.iter().cloned());
        for spot in self.missing(spots) {
            let (name, address) = (self.free_name(spot), spot.address);
            self.present.push(Member { name, address, state: EndpointState::Starting });
        }
        for member in self.present.iter_mut().filter(|member| ready.contains(&member.spot())) {
            member.state = EndpointState::Ready;
        }
        self.version += 1;
        left
    }

    /// Nothing is left of it.
    pub fn forget(&mut self, name: &InstanceName) {
        self.leaving.remove(name);
    }

    /// Whether that is news.
    pub fn set(&mut self, name: &InstanceName, state: EndpointState) -> bool {
        let Some(member) = self.present.iter_mut().find(|member| member.name == *name) else { return false };
        let is_news = member.state != state;
        member.state = state;
        self.version += u64::from(is_news);
        is_news
    }

    pub fn present(&self) -> &[Member] {
        &self.present
    }

    pub fn catalog(&self) -> Catalog {
        let mut catalog = Catalog { version: self.version, ..Catalog::default() };
        for Member { name, address, state } in &self.present {
            let endpoint = Endpoint { instance: name.clone(), address: *address, state: *state };
            catalog.services.entry(name.service.clone()).or_default().push(endpoint);
        }
        for endpoints in catalog.services.values_mut() {
            endpoints.sort_by(|a, b| a.instance.cmp(&b.instance));
        }
        catalog
    }

    fn free_name(&self, spot: &Spot) -> InstanceName {
        let named =
            |replica| InstanceName { service: spot.service.clone(), generation: spot.generation, replica };
        let taken = |name: &InstanceName| {
            self.leaving.contains(name) || self.present.iter().any(|member| member.name == *name)
        };
        (1..u16::MAX).map(named).find(|name| !taken(name)).unwrap_or_else(|| named(u16::MAX))
    }
}

impl Member {
    fn spot(&self) -> Spot {
        let InstanceName { service, generation, .. } = &self.name;
        Spot { service: service.clone(), generation: *generation, address: self.address }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spots(ports: &[u16]) -> BTreeSet<Spot> {
        let spot = |&port: &u16| Spot {
            service: "order".parse().unwrap(),
            generation: Generation::FIRST,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
        };
        ports.iter().map(spot).collect()
    }

    fn check(members: &Members, expected: &str) {
        let shown = members.present().iter().map(|m| format!("{}={}", m.name.replica, m.address.port()));
        assert_eq!(shown.collect::<Vec<_>>().join(" "), expected);
    }

    #[test]
    fn a_name_stays_with_its_address() {
        let mut members = Members::default();
        assert_eq!(members.follow(&spots(&[1, 2, 3]), &BTreeSet::new()), []);
        check(&members, "1=1 2=2 3=3");
        let left = members.follow(&spots(&[2, 3]), &BTreeSet::new());
        assert_eq!(left.len(), 1);
        check(&members, "2=2 3=3");
    }

    #[test]
    fn a_name_is_free_again_once_its_bearer_is_forgotten() {
        let mut members = Members::default();
        members.follow(&spots(&[1]), &BTreeSet::new());
        let left = members.follow(&spots(&[2]), &BTreeSet::new());
        check(&members, "2=2");
        members.forget(&left[0]);
        members.follow(&spots(&[2, 1]), &BTreeSet::new());
        check(&members, "2=2 1=1");
    }

    #[test]
    fn what_is_known_of_one_survives_the_coming_of_others() {
        let mut members = Members::default();
        members.follow(&spots(&[1]), &BTreeSet::new());
        let name = members.present()[0].name.clone();
        assert!(members.set(&name, EndpointState::Ready));
        assert!(!members.set(&name, EndpointState::Ready));
        members.follow(&spots(&[1, 2]), &BTreeSet::new());
        let states: Vec<_> = members.present().iter().map(|member| member.state).collect();
        assert_eq!(states, [EndpointState::Ready, EndpointState::Starting]);
        members.follow(&spots(&[1, 2]), &spots(&[2]));
        assert!(members.present().iter().all(|member| member.state == EndpointState::Ready));
    }
}
