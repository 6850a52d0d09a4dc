//! Which images a Dockerfile builds upon, and putting others in their place.
//!
//! Understands as much of the language as that takes: line continuation, comments, the escape
//! directive, here-documents, `ARG` before the first `FROM`, stage names. Everything that is not an
//! image's name stays as it is, byte for byte.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use self::instructions::{Instruction, Word, instructions, is_name};

mod instructions;
mod split;

pub use self::split::{Copy, Split, split};

/// An image that is named in a `FROM`, a `COPY --from` or a `RUN --mount=…,from=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseImage {
    /// With its variables filled in.
    pub image: String,
    /// Counted from 1.
    pub line: usize,
    /// Where its name stands.
    span: Range<usize>,
}

/// The images that are not made by the Dockerfile itself. One whose name depends on a variable
/// without a value is left out: only the builder knows it.
pub fn base_images(text: &str) -> Vec<BaseImage> {
    let mut reader = Reader::default();
    for instruction in instructions(text) {
        reader.read(&instruction);
    }
    reader.images
}

/// The same Dockerfile over other images, and the images that it then needs.
pub fn apply_aliases(text: &str, aliases: &BTreeMap<String, String>) -> (String, Vec<BaseImage>) {
    let mut images = base_images(text);
    let mut rewritten = text.to_owned();
    // From the end on, so that the places before stay where they are.
    for base in images.iter_mut().rev() {
        if let Some(other) = alias(aliases, &base.image) {
            rewritten.replace_range(base.span.clone(), other);
            other.clone_into(&mut base.image);
        }
    }
    (rewritten, images)
}

/// What stands in for an image; `python` and `python:latest` are the same.
pub fn alias<'a>(aliases: &'a BTreeMap<String, String>, image: &str) -> Option<&'a str> {
    let untagged = image.strip_suffix(":latest").unwrap_or(image);
    let found = aliases.get(image).or_else(|| aliases.get(untagged));
    let name = image.rsplit('/').next().unwrap_or(image);
    let has_tag = name.contains([':', '@']);
    let latest = || if has_tag { None } else { aliases.get(&format!("{image}:latest")) };
    found.or_else(latest).map(String::as_str)
}

/// What has been read so far.
#[derive(Default)]
struct Reader {
    images: Vec<BaseImage>,
    /// Names of stages, in lower case as they are compared, and their number.
    stages: BTreeSet<String>,
    stage_count: usize,
    /// The variables that `FROM` may use.
    arguments: BTreeMap<String, String>,
    /// Whether an image's name depends on a variable without a value.
    is_unsure: bool,
}

impl Reader {
    fn read(&mut self, instruction: &Instruction) {
        let Some((keyword, words)) = instruction.words.split_first() else { return };
        match keyword.text.to_ascii_uppercase().as_str() {
            "ARG" if self.stage_count == 0 => self.read_arguments(words),
            "FROM" => self.read_from(instruction.line, words),
            "COPY" | "ADD" => self.read_flags(instruction.line, words, |word| Some((word, "--from="))),
            "RUN" => self.read_flags(instruction.line, words, |word| {
                word.text.starts_with("--mount=").then_some((word, "from="))
            }),
            _ => {}
        }
    }

    fn read_arguments(&mut self, words: &[Word]) {
        for word in words {
            if let Some((name, value)) = word.text.split_once('=') {
                let value = expand(value.trim_matches(['"', '\'']), &self.arguments);
                self.arguments.extend(value.map(|value| (name.to_owned(), value)));
            }
        }
    }

    fn read_from(&mut self, line: usize, words: &[Word]) {
        let mut words = words.iter().skip_while(|word| word.text.starts_with("--"));
        if let Some(image) = words.next() {
            self.add(line, image);
        }
        let is_named = words.next().is_some_and(|word| word.text.eq_ignore_ascii_case("as"));
        if let Some(name) = words.next().filter(|_| is_named) {
            self.stages.insert(name.text.to_ascii_lowercase());
        }
        self.stage_count += 1;
    }

    /// Looks for images in the flags that come before an instruction's own words.
    fn read_flags<'w>(
        &mut self,
        line: usize,
        words: &'w [Word],
        key_in: impl Fn(&'w Word) -> Option<(&'w Word, &'static str)>,
    ) {
        let flags = words.iter().take_while(|word| word.text.starts_with("--"));
        for (word, key) in flags.filter_map(key_in) {
            let start = match key {
                "--from=" => word.text.starts_with(key).then_some(key.len()),
                // One of several, separated by commas: type=bind,from=image,target=/x
                _ => word.text.find(&format!(",{key}")).map(|at| at + 1 + key.len()).or_else(|| {
                    word.text.starts_with(&format!("--mount={key}")).then_some("--mount=".len() + key.len())
                }),
            };
            let value = start.and_then(|start| word.from(start));
            let ended = value.and_then(|value| value.until(value.text.find(',').unwrap_or(value.text.len())));
            if let Some(image) = ended {
                self.add(line, &image);
            }
        }
    }

    fn add(&mut self, line: usize, word: &Word) {
        let is_stage_number = word.text.parse::<usize>().is_ok_and(|number| number < self.stage_count);
        let is_stage = is_stage_number || self.stages.contains(&word.text.to_ascii_lowercase());
        let image = expand(&word.text, &self.arguments);
        self.is_unsure |= image.is_none();
        if let Some(image) = image.filter(|image| !is_stage && image != "scratch" && !image.is_empty()) {
            self.images.push(BaseImage { image, line, span: word.span() });
        }
    }
}

/// Fills in `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+other}`; `None` where a value is
/// missing.
fn expand(text: &str, values: &BTreeMap<String, String>) -> Option<String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let (expression, left) = match after.strip_prefix('{') {
            Some(braced) => braced.split_once('}')?,
            None => after.split_at(after.find(|c: char| !is_name(c)).unwrap_or(after.len())),
        };
        expanded.push_str(&evaluate(expression, values)?);
        rest = left;
    }
    Some(expanded + rest)
}

fn evaluate(expression: &str, values: &BTreeMap<String, String>) -> Option<String> {
    let (name, operation) = expression.split_at(expression.find(|c| !is_name(c)).unwrap_or(expression.len()));
    let value = values.get(name).filter(|value| !value.is_empty());
    if let Some(default) = operation.strip_prefix(":-").or_else(|| operation.strip_prefix('-')) {
        return Some(value.map_or(default, String::as_str).to_owned());
    }
    if let Some(other) = operation.strip_prefix(":+").or_else(|| operation.strip_prefix('+')) {
        return Some(value.map_or("", |_| other).to_owned());
    }
    value.filter(|_| operation.is_empty()).cloned()
}

#[cfg(test)]
mod tests;
