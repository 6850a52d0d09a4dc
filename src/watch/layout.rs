//! Which path concerns what: pure, by names alone.
//!
//! Whether a file in a service's folder is one of its sources is not known here; that is asked of
//! [`Sources`](crate::build::Sources), which is why [`Layout::affected_by`] takes it as a question.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::ops::Bound;
use std::path::{Component, Path, PathBuf};

use crate::model::name::ServiceName;
use crate::model::platform::{Platform, SERVICE_FILE, ServiceSpec};

/// Everything that a platform is made from, as paths.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    root: PathBuf,
    manifest: PathBuf,
    /// Where services are looked for.
    patterns: Vec<Vec<Step>>,
    /// By folder.
    trees: BTreeMap<PathBuf, Tree>,
    /// Single files that are read with the manifest, wherever they are.
    files: BTreeSet<PathBuf>,
}

/// A folder whose sources, however deep, belong to services.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Tree {
    pub services: BTreeSet<ServiceName>,
    /// The service whose own folder it is.
    pub owner: Option<ServiceSpec>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Named(OsString),
    Any,
}

/// What may have to be looked at again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Affected {
    pub services: BTreeSet<ServiceName>,
    pub manifest: bool,
}

/// What these paths concern, if each file in a service's folder is one of its sources. A folder stands
/// for everything in it.
#[must_use]
pub fn affected<'a>(paths: impl IntoIterator<Item = &'a Path>, layout: &Layout) -> Affected {
    let mut all = Affected::default();
    for path in paths {
        let Affected { services, manifest } = layout.affected_by(path, |_| true);
        all.services.extend(services);
        all.manifest |= manifest;
    }
    all
}

impl Affected {
    pub(super) fn is_nothing(&self) -> bool {
        self.services.is_empty() && !self.manifest
    }
}

impl Layout {
    #[must_use]
    pub fn of(platform: &Platform) -> Self {
        let mut trees: BTreeMap<PathBuf, Tree> = BTreeMap::new();
        for spec in platform.services.values() {
            trees.entry(spec.folder.clone()).or_default().owner = Some(spec.clone());
            for folder in spec.shared.iter().chain([&spec.folder]) {
                trees.entry(folder.clone()).or_default().services.insert(spec.name.clone());
            }
        }
        let env_files = platform.services.values().flat_map(|spec| &spec.env_files);
        Self {
            root: platform.root.clone(),
            manifest: platform.manifest.clone(),
            patterns: platform.service_folders.iter().map(|pattern| steps_of(pattern)).collect(),
            trees,
            files: env_files.flat_map(|file| file.paths.iter().cloned()).collect(),
        }
    }

    /// As it is, and told when something comes to be at one of these paths: what a manifest names that cannot be
    /// followed without it.
    #[must_use]
    pub fn expecting(mut self, missing: impl IntoIterator<Item = PathBuf>) -> Self {
        self.files.extend(missing);
        self
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn trees(&self) -> &BTreeMap<PathBuf, Tree> {
        &self.trees
    }

    /// What is in here that was not, or was somebody else's.
    pub(super) fn added_to(&self, before: Option<&Self>) -> Affected {
        let trees = self.trees.iter().filter(|(folder, tree)| {
            let known = before.and_then(|before| before.trees.get(*folder));
            known.is_none_or(|known| known.services != tree.services)
        });
        let services = trees.flat_map(|(_, tree)| &tree.services);
        let is_known = |before: &Self| {
            (&before.root, &before.manifest, &before.patterns) == (&self.root, &self.manifest, &self.patterns)
                && self.files.is_subset(&before.files)
        };
        Affected { services: services.cloned().collect(), manifest: !before.is_some_and(is_known) }
    }

    /// `counts` says of a tree's folder whether the path is a source in it.
    pub(super) fn affected_by(&self, path: &Path, counts: impl Fn(&Path) -> bool) -> Affected {
        let mut affected = Affected { services: BTreeSet::new(), manifest: self.is_on_the_way(path) };
        for (folder, tree) in self.trees_around(path) {
            if !tree.is_manifest(folder, path) && counts(folder) {
                affected.services.extend(tree.services.iter().cloned());
            }
        }
        let of_trees = below(&self.trees, path).map(|(_, tree)| &tree.services);
        let of_ignored = self.trees_ignored_by(path).map(|tree| &tree.services);
        affected.services.extend(of_trees.chain(of_ignored).flatten().cloned());
        affected
    }

    /// Whether what services there are, or how they are run, depends on this path.
    pub(super) fn is_on_the_way(&self, path: &Path) -> bool {
        let leads_to_one = || below(&self.trees, path).any(|(_, tree)| tree.owner.is_some());
        let is_of_one = || self.trees_around(path).any(|(folder, tree)| tree.is_manifest(folder, path));
        self.manifest.starts_with(path)
            || self.leads_to_file(path)
            || is_of_one()
            || leads_to_one()
            || self.may_be_service(path)
    }

    /// Whether single files are of interest here for what they are, whatever the walks say.
    pub(super) fn is_watched_by_name(&self, path: &Path) -> bool {
        self.is_on_the_way(path) || self.trees_ignored_by(path).next().is_some()
    }

    /// The folders of now in which something may show up that is no source: services that come and go,
    /// manifests, ignore files further up, single files. Links are not followed.
    pub(super) fn ways(&self) -> BTreeSet<PathBuf> {
        let mut ways = BTreeSet::from([self.root.clone()]);
        for pattern in &self.patterns {
            let mut reached = vec![self.root.clone()];
            for step in pattern {
                reached = reached.iter().flat_map(|folder| step.folders_in(folder)).collect();
                ways.extend(reached.iter().cloned());
            }
        }
        for inside in self.trees.keys().chain(&self.files).chain([&self.manifest]) {
            let above = inside.ancestors().skip(1).take_while(|above| above.starts_with(&self.root));
            ways.extend(above.map(Path::to_owned));
            // What is not there yet may come with the folders that lead to it.
            ways.extend(inside.ancestors().skip(1).find(|above| is_folder(above)).map(Path::to_owned));
        }
        ways.retain(|way| is_folder(way));
        ways
    }

    fn leads_to_file(&self, path: &Path) -> bool {
        let from = self.files.range::<Path, _>((Bound::Included(path), Bound::Unbounded));
        from.take(1).any(|file| file.starts_with(path))
    }

    /// Whether it is the folder of a service there may be, leads to one, or is its manifest.
    fn may_be_service(&self, path: &Path) -> bool {
        let Ok(relative) = path.strip_prefix(&self.root) else { return false };
        let names: Vec<_> = relative.components().map(Component::as_os_str).collect();
        self.patterns.iter().any(|steps| {
            let (way, rest) = names.split_at(names.len().min(steps.len()));
            let leads_on = way.iter().zip(steps).all(|(name, step)| step.admits(name.as_encoded_bytes()));
            leads_on && (rest.is_empty() || rest == [SERVICE_FILE])
        })
    }

    fn trees_around<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = (&'a Path, &'a Tree)> {
        let around = path.ancestors().filter_map(|folder| self.trees.get_key_value(folder));
        around.map(|(folder, tree)| (folder.as_path(), tree))
    }

    fn trees_ignored_by<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = &'a Tree> {
        let is_outer = path.starts_with(&self.root) && path.file_name().is_some_and(|it| it == ".gitignore");
        let folder = path.parent().filter(|_| is_outer);
        folder.into_iter().flat_map(|folder| below(&self.trees, folder)).map(|(_, tree)| tree)
    }
}

impl Tree {
    /// Whether a path is the manifest of the service that lives in `folder`, or read with it.
    fn is_manifest(&self, folder: &Path, path: &Path) -> bool {
        let is_service_file =
            || path.strip_prefix(folder).is_ok_and(|inside| inside == Path::new(SERVICE_FILE));
        self.owner.as_ref().is_some_and(|owner| {
            is_service_file() || owner.env_files.iter().any(|file| file.paths.contains(path))
        })
    }
}

impl Step {
    fn admits(&self, name: &[u8]) -> bool {
        match self {
            Self::Named(wanted) => wanted.as_encoded_bytes() == name,
            Self::Any => !name.starts_with(b"."),
        }
    }

    fn folders_in(&self, folder: &Path) -> Vec<PathBuf> {
        let found = match self {
            Self::Named(name) => vec![folder.join(name)],
            Self::Any => entries_of(folder),
        };
        let admitted = |path: &PathBuf| path.file_name().is_some_and(|it| self.admits(it.as_encoded_bytes()));
        found.into_iter().filter(admitted).filter(|path| is_folder(path)).collect()
    }
}

fn steps_of(pattern: &str) -> Vec<Step> {
    let names = Path::new(pattern).components().filter(|it| *it != Component::CurDir);
    let step = |name: Component<'_>| match name.as_os_str() {
        any if any == "*" => Step::Any,
        name => Step::Named(name.to_owned()),
    };
    names.map(step).collect()
}

/// What is at or below a path. Paths are ordered by their components, so that this is one range.
fn below<'a, T>(map: &'a BTreeMap<PathBuf, T>, path: &'a Path) -> impl Iterator<Item = (&'a PathBuf, &'a T)> {
    let from = map.range::<Path, _>((Bound::Included(path), Bound::Unbounded));
    from.take_while(move |(inside, _)| inside.starts_with(path))
}

/// Whether it is a folder itself, and not a link to one.
pub(super) fn is_folder(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// What is in a folder; nothing where it cannot be read, which whoever loads the manifest reports.
pub(super) fn entries_of(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(Result::ok).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests;
