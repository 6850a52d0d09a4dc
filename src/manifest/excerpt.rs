//! The part of a line that is shown under a message, fit for an 80-column terminal.
//!
//! Does not know files or messages. A manifest may hold anything, so what is shown is made safe here:
//! tabs become spaces, and characters that steer a terminal become `�`.

use std::ops::Range;

/// The widest excerpt: 80 columns less the line number and its rule.
const WIDTH: usize = 68;
/// How much is kept in front of the marked part of a longer line.
const LEAD: usize = 24;
const TAB: &str = "    ";

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Excerpt {
    pub text: String,
    /// The columns of `text` to underline, counted from 0; never empty.
    pub underline: Range<usize>,
}

impl Excerpt {
    /// Shows `span` (bytes of `line`, on character boundaries) in its line.
    pub fn of(line: &str, span: Range<usize>) -> Self {
        let begin = if fits(line) { 0 } else { step_back(line, span.start, LEAD) };
        let mut text = String::from(if begin > 0 { "…" } else { "" });
        let mut width = text.chars().count();
        let cut = !fits(&line[begin..]);
        let (mut start, mut end) = (None, None);
        for (index, c) in line[begin..].char_indices().map(|(index, c)| (begin + index, c)) {
            if index >= span.start {
                start.get_or_insert(width);
            }
            if index >= span.end {
                end.get_or_insert(width);
            }
            if cut && width >= WIDTH - TAB.len() {
                text.push('…');
                break;
            }
            width += push_safely(&mut text, c);
        }
        let start = start.unwrap_or(width);
        Self { text, underline: start..end.unwrap_or(width).max(start + 1) }
    }
}

fn fits(line: &str) -> bool {
    // A character has at most four bytes, so a longer line need not be counted.
    line.len() <= WIDTH * 4
        && line.chars().map(|c| if c == '\t' { TAB.len() } else { 1 }).sum::<usize>() <= WIDTH
}

fn step_back(line: &str, from: usize, characters: usize) -> usize {
    line[..from].char_indices().rev().take(characters).last().map_or(from, |(index, _)| index)
}

fn push_safely(text: &mut String, c: char) -> usize {
    if c == '\t' {
        text.push_str(TAB);
        return TAB.len();
    }
    text.push(if is_unsafe(c) { '\u{fffd}' } else { c });
    1
}

/// Control characters, and those that reorder or hide the text around them.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(line: &str, marked: &str, expected: &str) {
        let start = line.find(marked).unwrap();
        let excerpt = Excerpt::of(line, start..start + marked.len());
        let (indent, length) = (excerpt.underline.start, excerpt.underline.len());
        assert_eq!(
            format!("{}\n{}{}", excerpt.text, " ".repeat(indent), "^".repeat(length)),
            expected,
            "{line:?}"
        );
    }

    #[test]
    fn the_marked_part_is_underlined_whatever_stands_before_it() {
        check("port = 1", "port", "port = 1\n^^^^");
        check("port = 1", "1", "port = 1\n       ^");
        check("\tport\t= 1", "port", "    port    = 1\n    ^^^^");
        check("é = \"ü\" # x", "\"ü\"", "é = \"ü\" # x\n    ^^^");
        check("", "", "\n^");
    }

    #[test]
    fn what_could_steer_a_terminal_is_replaced() {
        check("a\u{1b}[2Jb\u{202e}c", "b", "a\u{fffd}[2Jb\u{fffd}c\n     ^");
    }

    #[test]
    fn a_long_line_is_cut_around_the_marked_part() {
        let line = format!("key = [{}oops{}]", "1, ".repeat(400), ", 2".repeat(400));
        check(
            &line,
            "oops",
            "…1, 1, 1, 1, 1, 1, 1, 1, oops, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, …\n                         ^^^^",
        );
    }

    proptest! {
        #[test]
        fn an_excerpt_is_never_wider_than_its_room(line in ".{0,300}", at in 0usize..300, length in 0usize..300) {
            let boundaries: Vec<usize> = line.char_indices().map(|(i, _)| i).chain([line.len()]).collect();
            let start = boundaries[at % boundaries.len()];
            let end = boundaries[((at % boundaries.len()) + length).min(boundaries.len() - 1)];
            let excerpt = Excerpt::of(&line, start..end);
            prop_assert!(excerpt.text.chars().count() <= WIDTH + 1);
            prop_assert!(excerpt.underline.end <= excerpt.text.chars().count() + 1);
            prop_assert!(!excerpt.underline.is_empty());
        }
    }
}
