//! What builds leave behind, and which of it may go.
//!
//! Not done here: deciding when to collect, and knowing what is in use.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use crate::model::instance::Program;
use crate::model::name::ServiceName;
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

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The newest of each service.
    pub generations: usize,
    /// In all; `None` for as much as there is.
    pub bytes: Option<u64>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { generations: 3, bytes: None }
    }
}

impl Kept {
    fn is_among(&self, in_use: &BTreeSet<String>) -> bool {
        in_use.contains(&self.handle) || self.names.iter().any(|name| in_use.contains(name))
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

/// The handles and names of what instances run, or what may be asked for again: for [`collect`].
pub fn in_use<'a>(programs: impl IntoIterator<Item = &'a Program>) -> BTreeSet<String> {
    let named = programs.into_iter().flat_map(|program| match program {
        Program::Image { reference } => vec![reference.clone()],
        // The program itself, or the name of the shell that runs it.
        Program::Command { argv, .. } => argv.first().into_iter().chain(argv.get(3)).cloned().collect(),
    });
    named.collect()
}

/// What may go, oldest first. What is in use stays, and of every service the newest program and the
/// newest base, whatever the budget: the one serves, the other makes the next build quick.
#[must_use]
pub fn collect<'k>(kept: &'k [Kept], in_use: &BTreeSet<String>, budget: &Budget) -> Vec<&'k Kept> {
    let mut newest_first: Vec<&Kept> = kept.iter().collect();
    newest_first.sort_by(|a, b| b.made.cmp(&a.made).then_with(|| a.handle.cmp(&b.handle)));
    let places = places(&newest_first);
    let ranked = || newest_first.iter().copied().zip(places.iter().copied());
    let stays = |one: &Kept, place: usize| place == 0 || one.is_among(in_use);
    // What stays in any case takes its part of the budget first.
    let fixed: u64 = ranked().filter(|(one, place)| stays(one, *place)).map(|(one, _)| one.size).sum();
    let mut left = budget.bytes.map_or(u64::MAX, |bytes| bytes.saturating_sub(fixed));
    let mut removed = Vec::new();
    for (one, place) in ranked().filter(|(one, place)| !stays(one, *place)) {
        let most = if one.role == Role::Base { 1 } else { budget.generations };
        match left.checked_sub(one.size).filter(|_| place < most) {
            Some(rest) => left = rest,
            None => removed.push(one),
        }
    }
    removed.reverse();
    removed
}

/// The place of each among those of its service and role, counted from 0.
fn places(newest_first: &[&Kept]) -> Vec<usize> {
    let mut counts: BTreeMap<(&ServiceName, Role), usize> = BTreeMap::new();
    let mut places = Vec::new();
    for one in newest_first {
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
        let in_use = used.iter().map(|name| (*name).to_owned()).collect();
        let removed = collect(kept, &in_use, &Budget { generations, bytes });
        removed.into_iter().map(|one| one.handle.clone()).collect()
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
        assert_eq!(removed(&all, &["order-5", "order:3"], 1, Some(0)), ["order-4", "order-2"]);
    }

    #[test]
    fn bytes_are_kept_for_the_newest_and_for_what_stays_anyway() {
        let all = [1, 2, 3].map(|age| kept("order", age, 10));
        assert_eq!(removed(&all, &[], 3, Some(25)), ["order-3"]);
        assert_eq!(removed(&all, &["order-3"], 3, Some(25)), ["order-2"]);
        assert_eq!(removed(&all, &[], 3, Some(0)), ["order-3", "order-2"]);
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
        let found = in_use(&programs);
        assert!(["sha256:1", "/artifacts/order", "order-0123"].iter().all(|name| found.contains(*name)));
    }

    proptest! {
        #[test]
        fn nothing_in_use_and_no_services_newest_ever_goes(
            builds in proptest::collection::btree_set((0..3usize, 0..100u64), 0..20),
            size in 0..50u64,
            used in proptest::collection::vec(0..100u64, 0..5),
            generations in 0..4usize,
            bytes in proptest::option::of(0..200u64),
        ) {
            let all: Vec<Kept> =
                builds.iter().map(|(service, age)| kept(["a1", "b1", "c1"][*service], *age, size)).collect();
            let in_use: BTreeSet<String> = used.iter().map(|age| format!("a1:{age}")).collect();
            for one in collect(&all, &in_use, &Budget { generations, bytes }) {
                prop_assert!(!one.is_among(&in_use));
                prop_assert!(all.iter().any(|other| other.service == one.service && other.made > one.made));
            }
        }
    }
}
