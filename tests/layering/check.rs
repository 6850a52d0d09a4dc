//! Compares what the sources do with what the rules say. Every complaint names its place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::arrows::{mentions_of, rooms_in};
use super::table::{Confined, Free, Room, Rules};
use super::tokens::{Located, tokens};

/// A file below `src/`; its path is written with `/` and starts with `src/`.
pub struct Source {
    path: String,
    tokens: Vec<Located>,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), tokens: tokens(text) }
    }

    fn room(&self) -> &str {
        let below = self.path.trim_start_matches("src/");
        below.split('/').next().unwrap_or(below).trim_end_matches(".rs")
    }

    fn is_below(&self, place: &str) -> bool {
        self.path == place || self.path.strip_prefix(place).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// Every Rust file of the project's `src/`.
pub fn read_sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open = vec![root.join("src")];
    let mut sources = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path.strip_prefix(root).unwrap().to_string_lossy();
                sources.push(Source::new(&relative, &std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

pub fn complaints(sources: &[Source], rules: &Rules) -> Vec<String> {
    let mut all = table_faults(rules.rooms);
    let mut arrows: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for source in sources {
        let imported = rooms_in(&source.path, &source.tokens);
        let Some(room) = rules.rooms.iter().find(|room| room.name == source.room()) else {
            all.push(format!("{}: the room {} is not in the table", source.path, source.room()));
            continue;
        };
        for import in imported.iter().filter(|import| import.name != room.name) {
            if !room.imports.contains(&import.name.as_str()) {
                let Room { name, purpose, .. } = room;
                let (path, line, import) = (&source.path, import.line, &import.name);
                all.push(format!("{path}:{line}: {name} must not import {import} ({name}: {purpose})"));
            }
            arrows.entry(room.name).or_default().insert(import.name.clone());
        }
    }
    all.extend(unused(rules.rooms, &arrows));
    all.extend(cycle(&arrows).map(|path| format!("a cycle of rooms: {}", path.join(" -> "))));
    all.extend(sources.iter().flat_map(|source| name_faults(source, rules)));
    all
}

/// An arrow that points up, or to a room that the table does not have.
fn table_faults(rooms: &[Room]) -> Vec<String> {
    let position = |name: &str| rooms.iter().position(|room| room.name == name);
    let mut faults = Vec::new();
    for (index, room) in rooms.iter().enumerate() {
        let upwards = room.imports.iter().filter(|import| position(import).is_none_or(|at| at <= index));
        faults.extend(
            upwards.map(|import| format!("the table: {} -> {import} does not point down", room.name)),
        );
    }
    faults
}

/// What is allowed and not needed makes the table say less than is true.
fn unused(rooms: &[Room], arrows: &BTreeMap<&str, BTreeSet<String>>) -> Vec<String> {
    let is_used = |room: &Room, import: &str| arrows.get(room.name).is_some_and(|to| to.contains(import));
    let pairs = rooms.iter().flat_map(|room| room.imports.iter().map(move |import| (room, *import)));
    let idle = pairs.filter(|(room, import)| !is_used(room, import));
    idle.map(|(room, import)| format!("the table: nothing uses {} -> {import}", room.name)).collect()
}

/// Some circle of arrows, from one room back to itself.
pub fn cycle(arrows: &BTreeMap<&str, BTreeSet<String>>) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    arrows.keys().find_map(|room| circle_from(room, arrows, &mut Vec::new(), &mut done))
}

fn circle_from(
    room: &str,
    arrows: &BTreeMap<&str, BTreeSet<String>>,
    path: &mut Vec<String>,
    done: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    if let Some(start) = path.iter().position(|passed| passed == room) {
        path.push(room.to_owned());
        return Some(path.split_off(start));
    }
    if done.contains(room) {
        return None;
    }
    path.push(room.to_owned());
    let next = arrows.get(room).into_iter().flatten();
    let found = next.into_iter().find_map(|to| circle_from(to, arrows, path, done));
    if found.is_none() {
        path.pop();
        done.insert(room.to_owned());
    }
    found
}

fn name_faults(source: &Source, rules: &Rules) -> Vec<String> {
    let confined = rules.confined.iter().filter(|rule| !rule.places.iter().any(|p| source.is_below(p)));
    let confined = confined.map(|Confined { name, because, .. }| (*name, *because));
    let free = rules.free.iter().filter(|rule| source.is_below(rule.place));
    let free = free.flat_map(|Free { of, because, .. }| of.iter().map(move |name| (*name, *because)));
    let mut faults = Vec::new();
    for (name, because) in confined.chain(free) {
        for mention in mentions_of(name, &source.tokens) {
            faults.push(format!("{}:{}: {name} has no place here ({because})", source.path, mention.line));
        }
    }
    faults
}
