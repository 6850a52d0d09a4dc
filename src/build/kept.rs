//! What builds leave behind, and which of it may go.
//!
//! Not done here: deciding when to collect, and knowing what is in use.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use crate::model::instance::Program;
use crate::model::name::ServiceName;
use crate::model::platform::Budget;
use crate::runtime::{StoredImage, labels};

use super::thin::BASE_LABEL;

/// One build that is kept: an image, or an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub service: ServiceName,
    pub role: Role,
    /// What instances of it are made from: an image's id, an artifact's path.
    pub handle: String,
    /// By which else it is found: tags, links.
    pub names: Vec<String>,
    /// What goes with it, in bytes: without what it shares with others.
    pub size: u64,
    /// When it was built last, even where that gave what was there already.
    pub made: SystemTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// An image that instances are made from.
    Image,
    /// An image that others are laid over.
    Base,
    /// What runs without an engine.
    Artifact,
}

/// What is known of programs besides that they are kept, each by whatever handle or name.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// Those that instances run, or are about to.
    pub in_use: BTreeSet<String>,
    /// Those that took requests, and when they last began to.
    pub served: BTreeMap<String, SystemTime>,
}

impl Standing {
    #[must_use]
    pub fn uses(&self, kept: &Kept) -> bool {
        kept.is_called(|name| self.in_use.contains(name))
    }

    fn served(&self, kept: &Kept) -> Option<SystemTime> {
        kept.all_names().filter_map(|name| self.served.get(name)).max().copied()
    }
}

impl Kept {
    /// Whether its handle or one of its names is meant.
    pub fn is_called(&self, is_meant: impl Fn(&str) -> bool) -> bool {
        self.all_names().any(is_meant)
    }

    fn all_names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().chain([&self.handle]).map(String::as_str)
    }
}

/// What the platform's images are among the kept. Of a size that one shares with another one of
/// them, it takes no account; what it shares with others' images counts as its own.
pub fn of_images(images: Vec<StoredImage>) -> Vec<Kept> {
    let own: Vec<u64> =
        images.iter().map(|image| image.size.saturating_sub(shared(image, &images))).collect();
    let kept = images.into_iter().zip(own).filter_map(|(image, size)| {
        let service = image.labels.get(labels::SERVICE)?.parse().ok()?;
        let role = if image.labels.contains_key(BASE_LABEL) { Role::Base } else { Role::Image };
        Some(Kept { service, role, handle: image.id.0, names: image.names, size, made: image.named })
    });
    kept.collect()
}

/// The size of the largest image that this one is laid over.
fn shared(image: &StoredImage, all: &[StoredImage]) -> u64 {
    let below = all
        .iter()
        .filter(|other| other.layers.len() < image.layers.len() && image.layers.starts_with(&other.layers));
    below.map(|other| other.size).max().unwrap_or(0)
}

/// By which handles and names a program is known.
#[must_use]
pub fn names_of(program: &Program) -> Vec<String> {
    match program {
        Program::Image { reference } => vec![reference.clone()],
        // The program itself, or the name of the shell that runs it.
        Program::Command { argv, .. } => argv.first().into_iter().chain(argv.get(3)).cloned().collect(),
    }
}

/// What may go, the dearest last: what took requests is worth more than what never did, and what did
/// so lately more than what did so long ago. What is in use stays, and of every service the newest
/// program and the newest base, whatever the budget: the one is what is deployed next, or tried again,
/// the other makes the next build quick.
#[must_use]
pub fn collect<'k>(kept: &'k [Kept], standing: &Standing, budget: &Budget) -> Vec<&'k Kept> {
    let newest = newest(kept);
    let stays = |one: &Kept| standing.uses(one) || newest.contains(&one.handle);
    let mut dearest_first: Vec<&Kept> = kept.iter().collect();
    dearest_first.sort_by_cached_key(|one| Reverse((standing.served(one), one.made, Reverse(&one.handle))));
    // What stays in any case takes its part of the budget first.
    let fixed: u64 = kept.iter().filter(|one| stays(one)).map(|one| one.size).sum();
    let mut left = budget.bytes.map_or(u64::MAX, |bytes| bytes.bytes().saturating_sub(fixed));
    let mut removed = Vec::new();
    for (one, place) in dearest_first.iter().zip(places(&dearest_first)).filter(|(one, _)| !stays(one)) {
        let most = if one.role == Role::Base { 1 } else { budget.generations };
        match left.checked_sub(one.size).filter(|_| place < most) {
            Some(rest) => left = rest,
            None => removed.push(*one),
        }
    }
    removed.reverse();
    removed
}

/// The handles of those that were made last, of each service and role.
fn newest(kept: &[Kept]) -> BTreeSet<&String> {
    let mut newest: BTreeMap<(&ServiceName, Role), &Kept> = BTreeMap::new();
    for one in kept {
        let found = newest.entry((&one.service, one.role)).or_insert(one);
        if (one.made, Reverse(&one.handle)) > (found.made, Reverse(&found.handle)) {
            *found = one;
        }
    }
    newest.into_values().map(|one| &one.handle).collect()
}

/// The place of each among those of its service and role, counted from 0.
fn places(dearest_first: &[&Kept]) -> Vec<usize> {
    let mut counts: BTreeMap<(&ServiceName, Role), usize> = BTreeMap::new();
    let mut places = Vec::new();
    for one in dearest_first {
        let count = counts.entry((&one.service, one.role)).or_default();
        places.push(*count);
        *count += 1;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use proptest::prelude::*;

    fn kept(service: &str, age: u64, size: u64) -> Kept {
        Kept {
            service: service.parse().unwrap(),
            role: Role::Image,
            handle: format!("{service}-{age}"),
            names: vec![format!("{service}:{age}")],
            size,
            made: SystemTime::UNIX_EPOCH + Duration::from_secs(1000 - age),
        }
    }

    fn removed(kept: &[Kept], used: &[&str], generations: usize, bytes: Option<u64>) -> Vec<String> {
        gone(kept, &Standing { in_use: set(used), ..Standing::default() }, generations, bytes)
    }

    fn gone(kept: &[Kept], standing: &Standing, generations: usize, bytes: Option<u64>) -> Vec<String> {
        let bytes = bytes.map(|bytes| format!("{bytes}B").parse().unwrap());
        let removed = collect(kept, standing, &Budget { generations, bytes });
        removed.into_iter().map(|one| one.handle.clone()).collect()
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_newest_of_each_service_are_kept_and_the_oldest_go_first() {
        let all = [1, 2, 3, 4].map(|age| kept("order", age, 1));
        let all: Vec<Kept> = all.into_iter().chain([kept("cart", 9, 1)]).collect();
        assert_eq!(removed(&all, &[], 2, None), ["order-4", "order-3"]);
    }

    #[test]
    fn what_is_in_use_stays_by_whatever_name() {
        let all = [1, 2, 3, 4, 5].map(|age| kept("order", age, 1));
        assert_eq!(removed(&all, &["order-5", "order:3"], 1, Some(1)), ["order-4", "order-2"]);
    }

    #[test]
    fn bytes_are_kept_for_the_newest_and_for_what_stays_anyway() {
        let all = [1, 2, 3].map(|age| kept("order", age, 10));
        assert_eq!(removed(&all, &[], 3, Some(25)), ["order-3"]);
        assert_eq!(removed(&all, &["order-3"], 3, Some(25)), ["order-2"]);
        assert_eq!(removed(&all, &[], 3, Some(1)), ["order-3", "order-2"]);
    }

    #[test]
    fn of_bases_only_the_newest_is_kept() {
        let base = |age| Kept { role: Role::Base, ..kept("order", age, 1) };
        assert_eq!(removed(&[base(8), base(9), kept("order", 1, 1)], &[], 3, None), ["order-9"]);
    }

    #[test]
    fn images_commands_and_prepared_folders_are_in_use_by_what_names_them() {
        let command = |argv: &[&str]| Program::Command {
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            folder: "/".into(),
        };
        let programs = [
            Program::Image { reference: "sha256:1".to_owned() },
            command(&["/artifacts/order"]),
            command(&["sh", "-c", "exec python", "order-0123"]),
        ];
        let found: Vec<String> = programs.iter().flat_map(names_of).collect();
        assert_eq!(found, ["sha256:1", "/artifacts/order", "sh", "order-0123"]);
    }

    #[test]
    fn what_never_served_goes_before_what_did_and_the_newest_build_stays_all_the_same() {
        let all = [1, 2, 3, 4, 5, 6].map(|age| kept("order", age, 1));
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let served = [("order-4", 10), ("order:5", 20), ("order-6", 30)];
        let served = served.map(|(name, began)| (name.to_owned(), at(began))).into();
        let standing = Standing { in_use: set(&["order-6"]), served };
        assert_eq!(gone(&all, &standing, 3, None), ["order-3", "order-2"]);
        assert_eq!(gone(&all, &standing, 2, None), ["order-3", "order-2", "order-4"]);
        assert_eq!(gone(&all, &standing, 3, Some(3)), ["order-3", "order-2", "order-4"]);
    }

    proptest! {
        #[test]
        fn nothing_in_use_and_no_services_newest_ever_goes(
            builds in proptest::collection::btree_set((0..3usize, 0..100u64), 0..20),
            size in 0..50u64,
            used in proptest::collection::vec(0..100u64, 0..5),
            served in proptest::collection::vec(0..100u64, 0..9),
            generations in 0..4usize,
            bytes in proptest::option::of(1..200u64),
        ) {
            let all: Vec<Kept> =
                builds.iter().map(|(service, age)| kept(["a1", "b1", "c1"][*service], *age, size)).collect();
            let standing = Standing {
                in_use: used.iter().map(|age| format!("a1:{age}")).collect(),
                served: served.iter().map(|age| (format!("a1:{age}"), SystemTime::UNIX_EPOCH)).collect(),
            };
            let bytes = bytes.map(|bytes| format!("{bytes}B").parse().unwrap());
            for one in collect(&all, &standing, &Budget { generations, bytes }) {
                prop_assert!(!standing.uses(one));
                prop_assert!(all.iter().any(|other| other.service == one.service && other.made > one.made));
            }
        }
    }
}
