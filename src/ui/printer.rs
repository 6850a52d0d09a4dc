//! The only place that writes: stdout is data, stderr is talk.

use std::io::{IsTerminal, Write};

use comfy_table::{ContentArrangement, Table};
use indicatif::MultiProgress;
use serde::Serialize;

use super::text::escape_control;

/// When to use colours, as asked for with `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// The form of a command's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    #[default]
    Text,
    /// One document.
    Json,
    /// One document a line.
    Jsonl,
}

pub struct Printer {
    colored: bool,
    moving: bool,
    /// Talk goes through it, so that it does not tear the progress lines.
    progress: MultiProgress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Plain,
    Good,
    Bad,
    Dim,
    Strong,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "\x1b[32m",
            Self::Bad => "\x1b[31m",
            Self::Dim => "\x1b[2m",
            Self::Strong => "\x1b[1m",
        }
    }
}

impl Printer {
    /// `no_color` is whether the variable NO_COLOR is set to anything (no-color.org).
    #[must_use]
    pub fn new(color: Color, no_color: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let colored = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !dumb && !no_color,
        };
        Self { colored, moving: terminal && !dumb, progress: MultiProgress::new() }
    }

    pub fn is_colored(&self) -> bool {
        self.colored
    }

    /// Whether lines may be rewritten: stderr is a terminal that can.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        self.moving
    }

    #[must_use]
    pub fn progress(&self) -> &MultiProgress {
        &self.progress
    }

    #[must_use]
    pub fn paint(&self, style: Style, text: &str) -> String {
        if self.colored && style != Style::Plain {
            format!("{}{text}\x1b[0m", style.code())
        } else {
            text.to_owned()
        }
    }

    /// A line of data. Text from services and engines is escaped by whoever passes it on.
    ///
    /// # Errors
    /// When stdout is gone; a reader that went away is no failure of ours, see `main`.
    pub fn data(&self, line: &str) -> std::io::Result<()> {
        self.progress.suspend(|| writeln!(std::io::stdout().lock(), "{line}"))
    }

    /// A document in one of the machine-readable forms.
    ///
    /// # Errors
    /// As [`Self::data`].
    pub fn document(&self, format: Format, document: &impl Serialize) -> std::io::Result<()> {
        let text = match format {
            Format::Jsonl => serde_json::to_string(document)?,
            Format::Text | Format::Json => serde_json::to_string_pretty(document)?,
        };
        self.data(&text)
    }

    /// A table as data: no frames, columns two spaces apart.
    ///
    /// # Errors
    /// As [`Self::data`].
    pub fn table(&self, header: &[&str], rows: Vec<Vec<String>>) -> std::io::Result<()> {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(header.iter().map(|title| title.to_uppercase()));
        table.add_rows(
            rows.into_iter().map(|row| row.iter().map(|cell| escape_control(cell)).collect::<Vec<_>>()),
        );
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let text = table.to_string();
        text.lines().try_for_each(|line| self.data(line.trim_end()))
    }

    /// A line of talk.
    pub fn say(&self, line: &str) {
        // Talk that nobody can hear any more is no reason to fail.
        self.progress.suspend(|| {
            let _ = writeln!(std::io::stderr().lock(), "{line}");
        });
    }

    /// A failure: what, then what to do about it.
    pub fn fail(&self, message: &str, hint: Option<&str>) {
        self.say(&format!("{} {message}", self.paint(Style::Bad, "error:")));
        if let Some(hint) = hint {
            self.hint(hint);
        }
    }

    pub fn hint(&self, hint: &str) {
        self.say(&format!("{} {hint}", self.paint(Style::Strong, "hint:")));
    }
}
