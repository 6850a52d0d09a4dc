//! A Dockerfile as a list of instructions: line continuation, comments, the escape directive and
//! here-documents are dealt with here, and nothing of what an instruction means.

use std::ops::Range;

/// One instruction, cut into words.
pub struct Instruction {
    /// Of its first word, counted from 1.
    pub line: usize,
    pub words: Vec<Word>,
    /// Where all of it stands: continued lines and here-documents too.
    pub span: Range<usize>,
    joined: String,
}

impl Instruction {
    /// In upper case; an instruction has at least this word.
    pub fn keyword(&self) -> String {
        self.words.first().map(|word| word.text.to_ascii_uppercase()).unwrap_or_default()
    }

    /// The `--name=value` words that come before an instruction's own.
    pub fn flags(&self) -> impl Iterator<Item = &str> {
        self.words.iter().skip(1).map(|word| word.text.as_str()).take_while(|word| word.starts_with("--"))
    }

    /// What comes after the keyword and the flags, as it is written.
    pub fn rest(&self) -> &str {
        let mut rest = self.joined.trim_start();
        for _ in 0..=self.flags().count() {
            rest = rest.find(char::is_whitespace).map_or("", |end| rest[end..].trim_start());
        }
        rest.trim_end()
    }
}

#[derive(Clone)]
pub struct Word {
    pub text: String,
    /// Where each byte of `text` stands in the file.
    places: Vec<usize>,
}

impl Word {
    /// The part of the word from this byte on.
    pub fn from(&self, start: usize) -> Option<Self> {
        let text = self.text.get(start..).filter(|text| !text.is_empty())?.to_owned();
        Some(Self { text, places: self.places[start..].to_vec() })
    }

    pub fn until(&self, end: usize) -> Option<Self> {
        let text = self.text.get(..end).filter(|text| !text.is_empty())?.to_owned();
        Some(Self { text, places: self.places[..end].to_vec() })
    }

    pub fn span(&self) -> Range<usize> {
        let (first, last) = (self.places.first().copied(), self.places.last().copied());
        first.unwrap_or(0)..last.map_or(0, |last| last + 1)
    }
}

pub fn instructions(text: &str) -> Vec<Instruction> {
    let escape = escape_character(text);
    let mut lines = Lines { text, next: 0, number: 0 };
    let mut instructions = Vec::new();
    while let Some(instruction) = read_instruction(&mut lines, escape) {
        for end in here_documents(&instruction) {
            lines.skip_here_document(&end);
        }
        let span = instruction.span.start..lines.next;
        instructions.push(Instruction { span, ..instruction });
    }
    instructions
}

/// Joins continued lines, leaving out comments and blank lines between them.
fn read_instruction(lines: &mut Lines<'_>, escape: char) -> Option<Instruction> {
    let mut joined = Word { text: String::new(), places: Vec::new() };
    let mut first = None;
    while let Some((number, start, line)) = lines.take() {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        first.get_or_insert((number, start));
        let ended = line.trim_end();
        let content = ended.strip_suffix(escape);
        let kept = content.unwrap_or(ended);
        joined.text.push_str(kept);
        joined.places.extend(start..start + kept.len());
        if content.is_none() {
            break;
        }
    }
    let (line, start) = first?;
    Some(Instruction { line, words: words(&joined), span: start..lines.next, joined: joined.text })
}

fn words(joined: &Word) -> Vec<Word> {
    let mut words = Vec::new();
    let mut start = 0;
    for piece in joined.text.split_inclusive(|c: char| c.is_whitespace()) {
        let text = piece.trim_end();
        if !text.is_empty() {
            let places = joined.places[start..start + text.len()].to_vec();
            words.push(Word { text: text.to_owned(), places });
        }
        start += piece.len();
    }
    words
}

/// The parser directive `# escape=`, which only counts above everything else.
fn escape_character(text: &str) -> char {
    let directives = text.lines().map_while(|line| line.trim().strip_prefix('#'));
    let value = directives
        .filter_map(|line| line.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("escape"));
    if value.is_some_and(|(_, value)| value.trim() == "`") { '`' } else { '\\' }
}

/// The words that end the here-documents of an instruction.
fn here_documents(instruction: &Instruction) -> Vec<String> {
    let may = instruction.words.first().is_some_and(|keyword| {
        ["RUN", "COPY", "ADD"].iter().any(|known| keyword.text.eq_ignore_ascii_case(known))
    });
    let ends = instruction.words.iter().filter(|_| may).filter_map(|word| {
        let end = word.text.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
        let end = end.strip_prefix('-').unwrap_or(end).trim_matches(['"', '\'']);
        (!end.is_empty() && end.chars().all(is_name)).then(|| end.to_owned())
    });
    ends.collect()
}

/// The physical lines, with their number and place.
struct Lines<'a> {
    text: &'a str,
    next: usize,
    number: usize,
}

impl<'a> Lines<'a> {
    fn take(&mut self) -> Option<(usize, usize, &'a str)> {
        let rest = self.text.get(self.next..).filter(|rest| !rest.is_empty())?;
        let length = rest.find('\n').map_or(rest.len(), |end| end + 1);
        let start = self.next;
        self.next += length;
        self.number += 1;
        Some((self.number, start, rest[..length].trim_end_matches(['\n', '\r'])))
    }

    /// Without its end it is none, and nothing is skipped.
    fn skip_here_document(&mut self, end: &str) {
        let (next, number) = (self.next, self.number);
        while let Some((_, _, line)) = self.take() {
            if line.trim_start_matches('\t') == end {
                return;
            }
        }
        (self.next, self.number) = (next, number);
    }
}

/// What variables and the ends of here-documents are made of.
pub fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
