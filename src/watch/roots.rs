//! The places that are watched, each as a whole: the folder of a service or one that services share,
//! and all that lies around them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::layout::{Affected, Layout, entries_of, is_folder};
use super::look::Look;
use crate::build::{BuildError, Kind, Sources, is_rule};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// What is no source: the manifests, the ways to services, ignore files further up.
    Ways,
    /// A folder of sources.
    Tree(PathBuf),
}

pub struct Root {
    owner: Owner,
    /// By the ignore files of the last time; `None` where there are none to read.
    sources: Option<Sources>,
    /// It may hold other folders than are watched, or other rules than are known.
    pub is_stale: bool,
    /// What was seen last, where it is looked at instead of watched.
    pub polled: Option<Look>,
}

impl Root {
    pub fn new(owner: Owner) -> Self {
        Self { owner, sources: None, is_stale: true, polled: None }
    }

    pub fn read_rules(&mut self, layout: &Layout) -> Result<(), BuildError> {
        let Owner::Tree(folder) = &self.owner else { return Ok(()) };
        self.sources = None;
        let Some(tree) = layout.trees().get(folder) else { return Ok(()) };
        self.sources = Some(match &tree.owner {
            Some(service) => Sources::of(service, layout.root())?,
            None => Sources::of_folder(folder, layout.root()),
        });
        Ok(())
    }

    /// Whether a path counts as a source. Where the rules are not known, any does.
    pub fn concern(&self, path: &Path) -> bool {
        self.sources.as_ref().is_none_or(|sources| sources.concern(path))
    }

    /// The folders of now in which something of interest may appear.
    pub fn folders(&self, layout: &Layout) -> Result<BTreeSet<PathBuf>, BuildError> {
        match (&self.owner, &self.sources) {
            (Owner::Ways, _) => Ok(layout.ways()),
            (Owner::Tree(folder), _) if !is_folder(folder) => Ok(BTreeSet::new()),
            (Owner::Tree(_), Some(sources)) => sources.folders(),
            (Owner::Tree(folder), None) => Ok([folder.clone()].into()),
        }
    }

    /// Everything of interest, as it is now.
    pub fn look(&mut self, layout: &Layout) -> Result<Look, BuildError> {
        self.read_rules(layout)?;
        match (&self.owner, &self.sources) {
            (Owner::Ways, _) => Ok(look_at_ways(layout)),
            (Owner::Tree(folder), Some(sources)) if is_folder(folder) => sources.look(),
            (Owner::Tree(_), _) => Ok(Look::new()),
        }
    }

    /// Whatever may be touched where it is not known what was.
    pub fn everything(&self, layout: &Layout) -> Affected {
        match &self.owner {
            Owner::Ways => layout.affected_by(layout.root(), |_| true),
            Owner::Tree(folder) => {
                let services = layout.trees().get(folder).map(|tree| tree.services.clone());
                Affected { services: services.unwrap_or_default(), manifest: false }
            }
        }
    }

    /// Whether it has to be walked again when something happened to the folders or rules at a path.
    pub fn depends_on(&self, path: &Path, layout: &Layout) -> bool {
        match &self.owner {
            Owner::Ways => layout.is_on_the_way(path),
            Owner::Tree(folder) => {
                let holds_further_down = || path.parent().is_some_and(|above| folder.starts_with(above));
                folder.starts_with(path) || (is_rule(path) && holds_further_down()) || self.concern(path)
            }
        }
    }
}

fn look_at_ways(layout: &Layout) -> Look {
    let ways = layout.ways();
    let inside = ways.iter().flat_map(|way| entries_of(way)).filter(|path| layout.is_watched_by_name(path));
    let found = inside.filter_map(|path| Some((path.clone(), Kind::of(&path).ok()??)));
    found.chain(ways.iter().map(|way| (way.clone(), Kind::Folder))).collect()
}
