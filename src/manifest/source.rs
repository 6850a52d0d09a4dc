//! The text of one file, and places in it. Does not know TOML.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::excerpt::Excerpt;
use super::problems::Problems;

/// The largest manifest that is read: far above any real one, far below what would hurt.
pub const MAX_BYTES: u64 = 1 << 20;

#[derive(Debug)]
pub struct Source {
    /// As it is shown: relative to the platform's root.
    file: PathBuf,
    text: String,
}

impl Source {
    pub fn new(file: PathBuf, text: String) -> Rc<Self> {
        Rc::new(Self { file, text })
    }

    /// Reads `path`. `None` where its content was refused and reported.
    ///
    /// # Errors
    /// When the file cannot be read at all.
    pub fn read(path: &Path, file: PathBuf, problems: &Problems) -> io::Result<Option<Rc<Self>>> {
        let metadata = std::fs::metadata(path)?;
        // A pipe or device of that name would block or never end.
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        let mut bytes = Vec::new();
        if metadata.len() <= MAX_BYTES {
            File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        }
        if metadata.len().max(bytes.len() as u64) > MAX_BYTES {
            let place = Self::new(file, String::new()).start();
            problems.report(
                &place,
                format!("the file has {} bytes, more than the 1 MiB of a manifest", metadata.len()),
                "is this the right file? keep data elsewhere",
            );
            return Ok(None);
        }
        Ok(Self::decode(bytes, file, problems))
    }

    fn decode(bytes: Vec<u8>, file: PathBuf, problems: &Problems) -> Option<Rc<Self>> {
        match String::from_utf8(bytes) {
            Ok(text) => {
                // Some editors begin a file with a byte order mark. It means nothing in UTF-8.
                let marked = text.strip_prefix('\u{feff}').map(str::to_owned);
                Some(Self::new(file, marked.unwrap_or(text)))
            }
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let place = Self::new(file, text).place(at..at + 1);
                problems.report(&place, "the text is not UTF-8 here", "save the file as UTF-8");
                None
            }
        }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn place(self: &Rc<Self>, span: Range<usize>) -> Place {
        let boundary = |mut at: usize| {
            at = at.min(self.text.len());
            while !self.text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = boundary(span.start);
        Place { source: Rc::clone(self), span: start..boundary(span.end).max(start) }
    }

    /// The very beginning: where something stands that is not there at all.
    pub fn start(self: &Rc<Self>) -> Place {
        self.place(0..0)
    }
}

/// A piece of a file.
#[derive(Debug, Clone)]
pub struct Place {
    source: Rc<Source>,
    /// Bytes of the source's text, on character boundaries.
    span: Range<usize>,
}

/// A value and where it was written.
#[derive(Debug, Clone)]
pub struct Located<T> {
    pub value: T,
    pub place: Place,
}

impl<T> Located<T> {
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Located<U> {
        Located { value: change(self.value), place: self.place }
    }
}

impl Place {
    pub fn source(&self) -> &Rc<Source> {
        &self.source
    }

    pub fn file(&self) -> &Path {
        &self.source.file
    }

    /// Line, and column in characters, both counted from 1.
    pub fn line_and_column(&self) -> (usize, usize) {
        let before = &self.source.text[..self.span.start];
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        (line, self.source.text[self.line_start()..self.span.start].chars().count() + 1)
    }

    /// The line it begins on, with the piece marked as far as that line goes.
    pub fn excerpt(&self) -> Excerpt {
        let start = self.line_start();
        let line = self.source.text[start..].split('\n').next().unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);
        let within = |at: usize| (at - start).min(line.len());
        Excerpt::of(line, within(self.span.start)..within(self.span.end))
    }

    fn line_start(&self) -> usize {
        self.source.text[..self.span.start].rfind('\n').map_or(0, |newline| newline + 1)
    }
}

impl fmt::Display for Place {
    /// `services/order/service.toml:7:1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_and_column();
        write!(f, "{}:{line}:{column}", self.file().display())
    }
}
