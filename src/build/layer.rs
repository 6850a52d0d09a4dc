//! What a `COPY` makes of an image, as layers: the same files, modes and owners that the engine's
//! own builder would give, worked out from the context and from what the base holds.
//!
//! Pure: [`plan`] says which paths of the base it has to know, and is asked again with the answers.
//! What it cannot decide beyond doubt it leaves to the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};

use tar::{Builder, EntryType, Header};

use crate::runtime::PathFacts;

use super::dockerfile::Copy;
use super::walk::{Entry, Kind};

/// The mode of folders that come about, whatever theirs is in the context.
const FOLDER: u32 = 0o755;

/// What is known of the base, by path relative to its root.
pub type Known = BTreeMap<PathBuf, PathFacts>;

/// One layer, by path relative to the root: folders before what is in them.
pub type Layer = BTreeMap<PathBuf, Node>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Folder {
        mode: u32,
        owner: (u64, u64),
    },
    File {
        /// Within the context.
        source: PathBuf,
        mode: u32,
        owner: (u64, u64),
    },
    Link {
        target: PathBuf,
        owner: (u64, u64),
    },
}

#[derive(Debug, PartialEq, Eq)]
pub enum Planned {
    /// One layer for each copy.
    Layers(Vec<Layer>),
    /// These paths of the base have to be known first.
    Ask(BTreeSet<PathBuf>),
    /// The engine has to do it, for this reason.
    Doubtful(String),
}

/// `entries` is the context, `folder` where relative destinations begin.
pub fn plan(copies: &[Copy], entries: &[Entry], folder: &Path, known: &Known) -> Planned {
    let mut world = World { known, made: BTreeMap::new(), unknown: BTreeSet::new() };
    let mut layers = Vec::new();
    for copy in copies {
        let mut layer = Layer::new();
        match world.copy(copy, entries, folder, &mut layer) {
            Ok(()) => layers.push(layer),
            Err(Stop::Doubt(reason)) if world.unknown.is_empty() => return Planned::Doubtful(reason),
            // What comes after has questions, too; what else it finds is worth nothing yet.
            Err(_) => {}
        }
    }
    if world.unknown.is_empty() { Planned::Layers(layers) } else { Planned::Ask(world.unknown) }
}

/// Why a copy was not worked out to its end.
enum Stop {
    Unknown,
    Doubt(String),
}

/// The image as it is before a copy: its base, and what earlier copies made.
struct World<'a> {
    known: &'a Known,
    made: BTreeMap<PathBuf, PathFacts>,
    unknown: BTreeSet<PathBuf>,
}

impl World<'_> {
    fn copy(&mut self, copy: &Copy, entries: &[Entry], folder: &Path, layer: &mut Layer) -> Result<(), Stop> {
        let written = Path::new(&copy.destination);
        let destination = normal(&folder.join(written));
        let owner = (u64::from(copy.owner.0), u64::from(copy.owner.1));
        let is_folder =
            copy.destination.ends_with('/') || copy.destination.ends_with("/.") || copy.destination == ".";
        let maker = Maker { owner, mode: copy.mode };
        self.know(&destination)?;
        for source in &copy.sources {
            let source = Path::new(source);
            match kind_of(source, entries)? {
                Kind::Folder => self.copy_folder(source, &destination, entries, &maker, layer)?,
                kind @ Kind::File { .. } => {
                    let into = is_folder || copy.sources.len() > 1 || self.is_folder(&destination)?;
                    let name = source.file_name().unwrap_or_default();
                    let target = if into { destination.join(name) } else { destination.clone() };
                    self.make_parents(&target, &maker, layer)?;
                    self.put(&target, source, kind, &maker, layer)?;
                }
                // A link is followed, perhaps out of the context.
                Kind::Link { .. } => return Err(doubt(format!("{} is a link", source.display()))),
            }
        }
        Ok(())
    }

    /// What is in a folder goes into the destination.
    fn copy_folder(
        &mut self,
        source: &Path,
        destination: &Path,
        entries: &[Entry],
        maker: &Maker,
        layer: &mut Layer,
    ) -> Result<(), Stop> {
        self.make_parents(&destination.join("any"), maker, layer)?;
        let mut all_known = Ok(());
        for entry in entries {
            let Ok(relative) = entry.path.strip_prefix(source) else { continue };
            if relative.as_os_str().is_empty() {
                continue;
            }
            match self.put(&destination.join(relative), &entry.path, &entry.kind, maker, layer) {
                // Others may be unknown too: all of them are asked for at once.
                Err(Stop::Unknown) => all_known = Err(Stop::Unknown),
                other => other?,
            }
        }
        all_known
    }

    /// Every folder above a path is part of the layer: one that is left out would be made anew by
    /// the engine, with a mode of its own choice.
    fn make_parents(&mut self, path: &Path, maker: &Maker, layer: &mut Layer) -> Result<(), Stop> {
        let mut above: Vec<&Path> =
            path.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()).collect();
        above.reverse();
        for folder in above {
            match self.look(folder)? {
                PathFacts::Nothing => self.add(folder, maker.folder(), layer),
                PathFacts::Folder { mode, owner } => self.add(folder, Node::Folder { mode, owner }, layer),
                PathFacts::File | PathFacts::Other => return Err(in_the_way(folder)),
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        path: &Path,
        source: &Path,
        kind: &Kind,
        maker: &Maker,
        layer: &mut Layer,
    ) -> Result<(), Stop> {
        let node = match (kind, self.look(path)?) {
            (Kind::Folder, PathFacts::Nothing | PathFacts::Folder { .. }) => maker.folder(),
            (Kind::File { is_executable, .. }, PathFacts::Nothing | PathFacts::File) => {
                maker.file(source, *is_executable)
            }
            (Kind::Link { target }, PathFacts::Nothing) => {
                Node::Link { target: target.clone(), owner: maker.owner }
            }
            _ => return Err(in_the_way(path)),
        };
        self.add(path, node, layer);
        Ok(())
    }

    fn add(&mut self, path: &Path, node: Node, layer: &mut Layer) {
        let facts = match &node {
            Node::Folder { mode, owner } => PathFacts::Folder { mode: *mode, owner: *owner },
            Node::File { .. } => PathFacts::File,
            Node::Link { .. } => PathFacts::Other,
        };
        self.made.insert(path.to_owned(), facts);
        layer.insert(path.to_owned(), node);
    }

    /// Makes sure that a path and all above it are known, or asks for all of them at once.
    fn know(&mut self, path: &Path) -> Result<(), Stop> {
        let mut above: Vec<&Path> = path.ancestors().filter(|path| !path.as_os_str().is_empty()).collect();
        above.reverse();
        for (index, path) in above.iter().enumerate() {
            if let Err(stop) = self.look(path) {
                self.unknown.extend(above[index..].iter().map(|path| path.to_path_buf()));
                return Err(stop);
            }
        }
        Ok(())
    }

    fn is_folder(&mut self, path: &Path) -> Result<bool, Stop> {
        Ok(matches!(self.look(path)?, PathFacts::Folder { .. }))
    }

    /// What is at a path. In a folder that is not there is nothing, which need not be asked.
    fn look(&mut self, path: &Path) -> Result<PathFacts, Stop> {
        let Some(parent) = path.parent() else {
            return Ok(PathFacts::Folder { mode: FOLDER, owner: (0, 0) });
        };
        if let Some(facts) = self.made.get(path).or_else(|| self.known.get(path)) {
            return Ok(*facts);
        }
        if !self.is_in_base(parent)? {
            return Ok(PathFacts::Nothing);
        }
        if path.to_str().is_none() {
            return Err(doubt(format!("the name {} is no text", path.display())));
        }
        self.unknown.insert(path.to_owned());
        Err(Stop::Unknown)
    }

    /// Whether the base itself has this folder.
    fn is_in_base(&mut self, folder: &Path) -> Result<bool, Stop> {
        if folder.as_os_str().is_empty() {
            return Ok(true);
        }
        if let Some(facts) = self.known.get(folder) {
            return Ok(matches!(facts, PathFacts::Folder { .. }));
        }
        match self.made.get(folder) {
            // Made where there was nothing: else it would be known.
            Some(_) => Ok(false),
            None => self.look(folder).map(|facts| matches!(facts, PathFacts::Folder { .. })),
        }
    }
}

/// What a copy gives to all that it makes.
struct Maker {
    owner: (u64, u64),
    mode: Option<u32>,
}

impl Maker {
    fn folder(&self) -> Node {
        Node::Folder { mode: FOLDER, owner: self.owner }
    }

    fn file(&self, source: &Path, is_executable: bool) -> Node {
        let own = if is_executable { 0o755 } else { 0o644 };
        Node::File { source: source.to_owned(), mode: self.mode.unwrap_or(own), owner: self.owner }
    }
}

fn kind_of<'e>(source: &Path, entries: &'e [Entry]) -> Result<&'e Kind, Stop> {
    if source.as_os_str().is_empty() {
        return Ok(&Kind::Folder);
    }
    let found = entries.iter().find(|entry| entry.path == source);
    // The engine says it best.
    found.map(|entry| &entry.kind).ok_or_else(|| doubt(format!("{} is not in the context", source.display())))
}

fn doubt(reason: String) -> Stop {
    Stop::Doubt(reason)
}

fn in_the_way(path: &Path) -> Stop {
    doubt(format!("the image has something else at /{}", path.display()))
}

/// Relative to the root, without what means nothing.
fn normal(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

/// The layer as a tar: sorted, without times; `read` gives what is in a file of the context. One that
/// is gone by now is left out, as it is from a context.
pub fn pack(layer: &Layer, read: impl Fn(&Path) -> io::Result<Vec<u8>>) -> io::Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    for (path, node) in layer {
        match node {
            Node::Folder { mode, owner } => {
                archive.append_data(
                    &mut header(EntryType::Directory, *mode, *owner, 0),
                    path,
                    io::empty(),
                )?;
            }
            Node::Link { target, owner } => {
                archive.append_link(&mut header(EntryType::Symlink, 0o777, *owner, 0), path, target)?;
            }
            Node::File { source, mode, owner } => {
                let content = match read(source) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    content => content?,
                };
                let mut header = header(EntryType::Regular, *mode, *owner, content.len() as u64);
                archive.append_data(&mut header, path, content.as_slice())?;
            }
        }
    }
    archive.into_inner()
}

fn header(kind: EntryType, mode: u32, owner: (u64, u64), size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(owner.0);
    header.set_gid(owner.1);
    header.set_size(size);
    header.set_mtime(0);
    header
}

#[cfg(test)]
mod tests;
