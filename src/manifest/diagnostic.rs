//! One problem in a manifest, and all of them together, as text for people.
//!
//! Plain data that owns what it shows; no colours. `ui` may render the parts in its own way.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub message: String,
    /// Relative to the platform's root.
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// The offending line as it is shown: cut to fit 80 columns, tabs expanded. Empty where the
    /// file has no such line.
    pub source_line: String,
    /// The columns of `source_line` to underline, counted from 0.
    pub underline: Range<usize>,
    /// Other places that are involved.
    pub notes: Vec<String>,
    pub hint: String,
}

impl Diagnostic {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }

    fn write_excerpt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.source_line.trim().is_empty() {
            return Ok(());
        }
        let number = self.line.to_string();
        writeln!(f, "  {number} | {}", self.source_line)?;
        let margin = " ".repeat(number.len());
        let indent = " ".repeat(self.underline.start);
        writeln!(f, "  {margin} | {indent}{}", "^".repeat(self.underline.len()))
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        writeln!(f, "{file}:{}:{}: {}", self.line, self.column, self.message)?;
        self.write_excerpt(f)?;
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))?;
        write!(f, "hint: {}", self.hint)
    }
}

/// All problems of a platform's files, sorted by file and line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics {
    problems: Vec<Diagnostic>,
    omitted: usize,
    missing: BTreeSet<PathBuf>,
}

impl Diagnostics {
    pub(super) fn new(mut problems: Vec<Diagnostic>, omitted: usize, missing: BTreeSet<PathBuf>) -> Self {
        problems.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        // A file that several services name is read for each of them.
        problems.dedup();
        Self { problems, omitted, missing }
    }

    /// Files and folders that are named and are not there, by where they would be.
    #[must_use]
    pub fn missing(&self) -> &BTreeSet<PathBuf> {
        &self.missing
    }

    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.problems.iter()
    }

    /// How many problems there are, shown or not.
    #[must_use]
    pub fn count(&self) -> usize {
        self.problems.len() + self.omitted
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n\n" };
            write!(f, "{gap}{problem}")?;
        }
        match self.omitted {
            0 => Ok(()),
            omitted => write!(f, "\n\nand {omitted} more"),
        }
    }
}
