//! Where every reader and check puts what it found. Decides nothing.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::PathBuf;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::excerpt::{Excerpt, is_unsafe};
use super::source::Place;

/// More than anybody reads at once. The rest is counted, so that a file of garbage stays cheap.
const MAX_KEPT: usize = 100;
/// Texts from a manifest may be as long as the file; what is said about them is not.
const MAX_MESSAGE: usize = 400;

#[derive(Debug, Default)]
pub struct Problems {
    // Interior mutability lets every section of a file share one collector.
    kept: RefCell<Vec<Diagnostic>>,
    omitted: Cell<usize>,
    missing: RefCell<BTreeSet<PathBuf>>,
}

impl Problems {
    pub fn report(&self, place: &Place, message: impl Into<String>, hint: impl Into<String>) {
        self.report_with_notes(place, message, Vec::new(), hint);
    }

    /// Once more problems were found than anybody reads, `describe` is not asked any more.
    pub fn report_lazily(&self, place: &Place, describe: impl FnOnce() -> (String, String)) {
        if self.has_room() {
            let (message, hint) = describe();
            self.report(place, message, hint);
        }
    }

    pub fn report_with_notes(
        &self,
        place: &Place,
        message: impl Into<String>,
        notes: Vec<String>,
        hint: impl Into<String>,
    ) {
        if !self.has_room() {
            return;
        }
        let (line, column) = place.line_and_column();
        let Excerpt { text: source_line, underline } = place.excerpt();
        self.kept.borrow_mut().push(Diagnostic {
            message: presentable(message.into()),
            file: PathBuf::from(presentable(place.file().display().to_string())),
            line,
            column,
            source_line,
            underline,
            notes: notes.into_iter().map(presentable).collect(),
            hint: presentable(hint.into()),
        });
    }

    /// Besides what is reported: once something is at this path, it is worth another look.
    pub fn miss(&self, path: PathBuf) {
        self.missing.borrow_mut().insert(path);
    }

    /// Counts what there is no room for.
    fn has_room(&self) -> bool {
        let has_room = self.kept.borrow().len() < MAX_KEPT;
        self.omitted.update(|omitted| omitted + usize::from(!has_room));
        has_room
    }

    /// `None` when nothing was reported.
    pub fn into_diagnostics(self) -> Option<Diagnostics> {
        let kept = self.kept.into_inner();
        let missing = self.missing.into_inner();
        if kept.is_empty() { None } else { Some(Diagnostics::new(kept, self.omitted.get(), missing)) }
    }
}

fn presentable(text: String) -> String {
    let safe = |text: &str| text.chars().map(|c| if is_unsafe(c) { '\u{fffd}' } else { c }).collect();
    match text.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => safe(&text[..end]) + "…",
        None if text.chars().any(is_unsafe) => safe(&text),
        None => text,
    }
}
