//! Text to a tree of TOML values with their spans. Does not know any key.

use std::rc::Rc;

use toml::Spanned;
use toml::de::{DeTable, Error};

use super::problems::Problems;
use super::source::Source;

/// `None` where the text is not TOML, which was reported. The parser bounds nesting by itself.
pub fn parse<'a>(source: &'a Rc<Source>, problems: &Problems) -> Option<Spanned<DeTable<'a>>> {
    let (tree, mut errors) = DeTable::parse_recoverable(source.text());
    if errors.is_empty() {
        return Some(tree);
    }
    // After a mistake the parser goes on as well as it can. What it finds wrong further on in the
    // same line mostly follows from the first mistake.
    errors.sort_by_key(|error| error.span().map(|span| span.start));
    let mut reported_to = 0;
    for error in &errors {
        let span = span_of(error, source.text());
        if span.start >= reported_to {
            reported_to = next_line(source.text(), span.start);
            let message = message_of(error, source.text());
            problems.report(&source.place(span), message, hint_for(error.message()));
        }
    }
    None
}

/// What is missing at the end of a file is shown at the end of its last line with text.
fn span_of(error: &Error, text: &str) -> std::ops::Range<usize> {
    let end = text.trim_end().len();
    match error.span() {
        Some(span) if span.start > end => end..end,
        Some(span) => span,
        None => 0..0,
    }
}

fn next_line(text: &str, from: usize) -> usize {
    let newline = text.as_bytes()[from..].iter().position(|&byte| byte == b'\n');
    newline.map_or(text.len() + 1, |newline| from + newline + 1)
}

fn message_of(error: &Error, text: &str) -> String {
    match error.message() {
        "duplicate key" => {
            let key = error.span().and_then(|span| text.get(span)).unwrap_or_default();
            format!("{key} is there twice")
        }
        // From the parser's advice only the fault: the hint below says what to do.
        message => {
            let fault = message.split(", expected").next().unwrap_or(message);
            format!("this is not TOML: {fault}")
        }
    }
}

fn hint_for(message: &str) -> &'static str {
    const HINTS: [(&str, &str); 13] = [
        ("duplicate key", "keep one of the two"),
        ("must be quoted", "put text in double quotes: key = \"value\""),
        ("unquoted key", "a line is key = value; quote keys that hold more than A-Z, a-z, 0-9, - and _"),
        ("key with no value", "write key = value"),
        ("unclosed table", "close the section's name with ]"),
        ("unclosed array", "close the list with ]"),
        ("unclosed inline table", "close the table with }"),
        ("unexpected key or value", "write one key = value on each line"),
        ("escaped", "write \\\\ for a backslash, or put the text in single quotes"),
        ("carriage return", "save the file with newlines at the ends of its lines"),
        ("leading zero", "write the number without zeros in front, or as a text"),
        ("recurs", "nest less: no manifest needs more than three levels"),
        ("string", "a text begins and ends with a double quote, on one line"),
    ];
    let known = HINTS.iter().find(|(part, _)| message.contains(part));
    known.map_or("a manifest is made of [section] lines and key = value lines", |(_, hint)| hint)
}
