//! A table of a manifest that is read key by key.
//!
//! Readers [`take`](Section::take) the keys they know and [`close`](Section::close) the section in
//! the end: what nobody took is unknown, and the keys that were asked for are the suggestions. So
//! the list of keys is written once, in the code that reads them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problems::Problems;
use super::source::{Located, Place, Source};
use super::suggestion::{closest, did_you_mean};
use super::values::Value;

pub struct Section<'a> {
    title: Title,
    /// Where the section begins, for what is missing in it.
    pub place: Place,
    pub problems: &'a Problems,
    entries: BTreeMap<Cow<'a, str>, Entry<'a>>,
    known: Vec<&'static str>,
}

/// How a section is called in messages.
#[derive(Debug, Clone)]
pub enum Title {
    File,
    /// `[run]`, with its full path.
    Table(String),
    /// `[[routes]]`, one of several.
    Element(String),
}

struct Entry<'a> {
    key: Place,
    value: Spanned<DeValue<'a>>,
}

impl<'a> Section<'a> {
    /// The whole file as one section of sections.
    pub fn of_file(tree: Spanned<DeTable<'a>>, source: &Rc<Source>, problems: &'a Problems) -> Self {
        Self::new(Title::File, source.start(), tree.into_inner(), problems)
    }

    pub fn new(title: Title, place: Place, table: DeTable<'a>, problems: &'a Problems) -> Self {
        let source = Rc::clone(place.source());
        let entry = |(key, value): (Spanned<Cow<'a, str>>, _)| {
            let place = source.place(key.span());
            (key.into_inner(), Entry { key: place, value })
        };
        let entries = table.into_iter().map(entry).collect();
        Self { title, place, problems, entries, known: Vec::new() }
    }

    pub fn take(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.known.push(key);
        let (name, entry) = self.entries.remove_entry(key)?;
        Some(self.value(&name, entry))
    }

    /// Like [`take`](Self::take), for what has no default; `example` is how its value may look.
    pub fn require(&mut self, key: &'static str, example: &str) -> Option<Value<'a>> {
        let found = self.take(key);
        if found.is_none() {
            self.problems.report(
                &self.place,
                format!("there is no {key} in {}", self.title.show()),
                format!("add {key} = {example} to {}", self.title.show()),
            );
        }
        found
    }

    /// The section below this one, empty where it is not there.
    pub fn section(&mut self, key: &'static str) -> Self {
        let title = self.title.below(key);
        let found = self.take(key).and_then(Value::section);
        found.unwrap_or_else(|| Self::new(title, self.place.clone(), DeTable::new(), self.problems))
    }

    /// Everything that is left, for sections whose keys are the author's own.
    pub fn take_all(&mut self) -> Vec<(Located<String>, Value<'a>)> {
        let entries = std::mem::take(&mut self.entries);
        let named = |(name, entry): (Cow<'a, str>, Entry<'a>)| {
            let key = Located { value: name.clone().into_owned(), place: entry.key.clone() };
            (key, self.value(&name, entry))
        };
        entries.into_iter().map(named).collect()
    }

    /// Reports the keys that nobody asked for.
    pub fn close(self) {
        for (name, entry) in &self.entries {
            let is_table = is_written_as_section(entry.value.get_ref());
            self.problems.report_lazily(&entry.key, || match &self.title {
                Title::File => self.unknown_section(name, is_table),
                title => self.unknown_key(name, &title.show()),
            });
        }
    }

    fn unknown_key(&self, name: &str, section: &str) -> (String, String) {
        (
            format!("unknown key {name:?} in {section}"),
            did_you_mean(name, &format!("the keys of {section}"), &self.known),
        )
    }

    fn unknown_section(&self, name: &str, is_table: bool) -> (String, String) {
        let message = if is_table {
            format!("unknown section [{name}]")
        } else {
            format!("unknown key {name:?} before any section")
        };
        let hint = match closest(name, self.known.iter().copied()) {
            Some(section) => format!("did you mean [{section}]?"),
            None => format!("the sections of this file: [{}]", self.known.join("], [")),
        };
        (message, hint)
    }

    fn value(&self, name: &str, entry: Entry<'a>) -> Value<'a> {
        Value {
            place: self.place.source().place(entry.value.span()),
            content: entry.value.into_inner(),
            key: name.to_owned(),
            within: self.title.clone(),
            problems: self.problems,
        }
    }
}

/// `[key]` or `[[key]]`.
fn is_written_as_section(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Table(_) => true,
        DeValue::Array(elements) => {
            elements.iter().next().is_some_and(|first| matches!(first.get_ref(), DeValue::Table(_)))
        }
        _ => false,
    }
}

impl Title {
    pub fn show(&self) -> String {
        match self {
            Self::File => "the file".to_owned(),
            Self::Table(path) => format!("[{path}]"),
            Self::Element(path) => format!("[[{path}]]"),
        }
    }

    /// The same for one of several.
    pub fn of_many(self) -> Self {
        match self {
            Self::Table(path) => Self::Element(path),
            other => other,
        }
    }

    /// The title of the table at `key` in here.
    pub fn below(&self, key: &str) -> Self {
        match self {
            Self::File => Self::Table(key.to_owned()),
            Self::Table(path) | Self::Element(path) => Self::Table(format!("{path}.{key}")),
        }
    }
}
