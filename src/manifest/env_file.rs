//! `[run] env_files`: files of variables that a service names, and the problems in them.
//!
//! Such files hold secrets: no problem shows more of one than names.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::model::platform::EnvFile;

use super::env_lines::{self, Entry, Fault};
use super::ground::Ground;
use super::problems::Problems;
use super::source::{Located, Place, Source};
use super::values::Value;
use super::variables::{self, Variables};

const EXAMPLE: &str = "[\"dev.env\"]";

pub struct EnvDraft {
    shown: PathBuf,
    paths: BTreeSet<PathBuf>,
    pub variables: Variables,
}

impl EnvDraft {
    pub fn into_file(self) -> EnvFile {
        let Self { shown, paths, variables } = self;
        EnvFile { shown, paths, variables: variables::without_places(variables) }
    }
}

/// In the order in which they are listed.
pub fn read(value: Value<'_>, ground: Ground<'_>) -> Vec<EnvDraft> {
    let problems = value.problems;
    let named = value.list(EXAMPLE).unwrap_or_default().into_iter();
    let named = named.filter_map(|element| element.filled_text(EXAMPLE));
    named.filter_map(|named| read_file(&named, ground, problems)).collect()
}

fn read_file(named: &Located<String>, ground: Ground<'_>, problems: &Problems) -> Option<EnvDraft> {
    let path = ground.at(&named.value);
    let found = paths_of(&path).and_then(|paths| {
        let shown = ground.shown(&paths.place);
        Ok((Source::read(&path, shown.clone(), problems)?, shown, paths))
    });
    match found {
        Ok((source, shown, paths)) => {
            let variables = read_variables(&source?, problems);
            Some(EnvDraft { shown, paths: [paths.place, paths.target].into(), variables })
        }
        Err(error) => {
            let (fault, hint) = match error.kind() {
                ErrorKind::NotFound => {
                    problems.miss(ground.place_of_missing(&named.value));
                    (
                        format!("there is no file {:?}", named.value),
                        "create it, or leave it out here; the path begins at the folder of service.toml",
                    )
                }
                _ => (
                    format!("{:?} cannot be read: {error}", named.value),
                    "check that it is a file and that you may read it",
                ),
            };
            problems.report(&named.place, fault, hint);
            None
        }
    }
}

struct Paths {
    /// Where it is, by the folder's canonical path.
    place: PathBuf,
    /// Where it leads if it is a link; else the same.
    target: PathBuf,
}

fn paths_of(path: &Path) -> std::io::Result<Paths> {
    let target = path.canonicalize()?;
    let place = match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) => folder.canonicalize()?.join(name),
        _ => target.clone(),
    };
    Ok(Paths { place, target })
}

fn read_variables(source: &Rc<Source>, problems: &Problems) -> Variables {
    let shown = Shown::of(source);
    let mut variables = Variables::new();
    for entry in env_lines::entries(source.text()) {
        let place = shown.place(&entry);
        match (entry.value, variables::fault_of(entry.name)) {
            (Err(fault), _) => {
                let (message, hint) = describe(fault, entry.name);
                problems.report(&place, message, hint);
            }
            (Ok(_), Some((message, hint))) => problems.report(&place, message, hint),
            (Ok(_), None) if variables.contains_key(entry.name) => {
                let message = format!("{} is there twice", entry.name);
                problems.report(&place, message, "keep one of the two");
            }
            (Ok(value), None) => drop(variables.insert(entry.name.to_owned(), Located { value, place })),
        }
    }
    variables
}

fn describe(fault: Fault, name: &str) -> (String, &'static str) {
    match fault {
        Fault::NotOne => (
            "this is not NAME=value".to_owned(),
            "write one variable a line; a value of several lines stands in quotes",
        ),
        Fault::Unclosed => {
            (format!("the quote that begins the value of {name} does not end"), "end it with the same quote")
        }
        Fault::MoreAfterQuote => (
            format!("there is more after the quoted value of {name}"),
            "put all of it in quotes, or none; a comment begins with #",
        ),
        Fault::Filled => (
            format!("the value of {name} has a $ that some tools fill in, and msctl does not"),
            "write what it stands for, or put the value in single quotes if the $ is meant as it is",
        ),
        Fault::Nul => (format!("the value of {name} holds a NUL character"), "leave it out"),
    }
}

/// The file as it may be shown: the same lines, without values.
struct Shown {
    source: Rc<Source>,
    /// Where each line begins in the file, and where it does here.
    lines: Vec<(usize, usize)>,
}

impl Shown {
    fn of(file: &Rc<Source>) -> Self {
        let (mut text, mut lines, mut at) = (String::new(), Vec::new(), 0);
        for line in file.text().split('\n') {
            lines.push((at, text.len()));
            at += line.len() + 1;
            match line.split_once('=') {
                Some((name, _)) if env_lines::may_be_name(name) => text.extend([name, "=…\n"]),
                None if env_lines::may_be_name(line) => text.extend([line, "\n"]),
                _ => text.push_str("…\n"),
            }
        }
        Self { source: Source::new(file.start().file().to_owned(), text), lines }
    }

    fn place(&self, entry: &Entry<'_>) -> Place {
        let next = self.lines.partition_point(|(begin, _)| *begin <= entry.at);
        let (begin, shown) = self.lines[next.saturating_sub(1)];
        let start = shown + if entry.name.is_empty() { 0 } else { entry.at - begin };
        self.source.place(start..start + entry.name.len().max(1))
    }
}
