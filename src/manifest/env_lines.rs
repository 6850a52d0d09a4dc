//! Lines of `NAME=value`, as compose and dotenv tools read them: blank lines and comments are passed over,
//! `export` may stand before a name. A plain value ends with its line or before ` #`; one in double quotes
//! knows `\n`, `\r`, `\t`, `\\`, `\"` and `\$`, one in single quotes is what it is; both may have several
//! lines.
//!
//! What such tools read in different ways is refused rather than guessed. Nothing is filled in, and the
//! environment of msctl does not count. Which names are good is not known here.

#[derive(Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Empty where there is none.
    pub name: &'a str,
    /// The byte of the text at which it begins.
    pub at: usize,
    pub value: Result<String, Fault>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No name, or no `=`.
    NotOne,
    Unclosed,
    MoreAfterQuote,
    /// `$NAME` or `${NAME}`.
    Filled,
    Nul,
}

/// Longer ones are rather a part of some value.
const LONGEST_NAME: usize = 63;

pub fn entries(text: &str) -> impl Iterator<Item = Entry<'_>> {
    Reader { text, at: 0 }
}

/// Whether it looks like what stands before a `=`, and not like a part of a secret.
pub fn may_be_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-. \t\r".contains(&byte);
    text.len() <= LONGEST_NAME && text.bytes().all(allowed)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Reader<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        while self.at < self.text.len() {
            let begin = self.at;
            let line = self.take_line();
            let body = line.trim_start();
            if body.is_empty() || body.starts_with('#') {
                continue;
            }
            let body = match body.strip_prefix("export") {
                Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start(),
                _ => body,
            };
            let at = begin + line.len() - body.len();
            return Some(match body.split_once('=') {
                Some((name, value)) if !name.trim().is_empty() && may_be_name(name) => {
                    self.at = begin + line.len() - value.len();
                    Entry { name: name.trim_end(), at, value: self.value() }
                }
                _ => Entry { name: "", at, value: Err(Fault::NotOne) },
            });
        }
        None
    }
}

impl<'a> Reader<'a> {
    /// The rest of the line, and on to the next one.
    fn take_line(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let line = rest.split('\n').next().unwrap_or_default();
        self.at = (self.at + line.len() + 1).min(self.text.len());
        line
    }

    fn value(&mut self) -> Result<String, Fault> {
        let begin = self.at;
        let line = self.take_line();
        let body = line.trim_start();
        let value = match body.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                self.at = begin + line.len() - body.len() + 1;
                self.quoted(quote)?
            }
            _ => plain(line)?,
        };
        if value.contains('\0') { Err(Fault::Nul) } else { Ok(value) }
    }

    fn quoted(&mut self, quote: char) -> Result<String, Fault> {
        let knows_escapes = quote == '"';
        let (mut value, mut is_filled) = (String::new(), false);
        let mut rest = self.text[self.at..].chars();
        while let Some(c) = rest.next() {
            match c {
                c if c == quote => {
                    self.at = self.text.len() - rest.as_str().len();
                    let after = self.take_line().trim();
                    if !after.is_empty() && !after.starts_with('#') {
                        return Err(Fault::MoreAfterQuote);
                    }
                    return if is_filled { Err(Fault::Filled) } else { Ok(value) };
                }
                '\\' if knows_escapes => unescape(rest.next(), &mut value),
                '\r' if rest.as_str().starts_with('\n') => {}
                c => {
                    is_filled |= knows_escapes && c == '$' && begins_name(rest.as_str());
                    value.push(c);
                }
            }
        }
        self.at = self.text.len();
        Err(Fault::Unclosed)
    }
}

fn plain(line: &str) -> Result<String, Fault> {
    let comment = line.match_indices('#').find(|(at, _)| line[..*at].ends_with([' ', '\t']));
    let value = comment.map_or(line, |(at, _)| &line[..at]).trim();
    let is_filled = value.match_indices('$').any(|(at, _)| begins_name(&value[at + 1..]));
    if is_filled { Err(Fault::Filled) } else { Ok(value.to_owned()) }
}

fn unescape(escaped: Option<char>, value: &mut String) {
    match escaped {
        Some('n') => value.push('\n'),
        Some('r') => value.push('\r'),
        Some('t') => value.push('\t'),
        Some(c @ ('\\' | '"' | '$')) => value.push(c),
        Some(other) => value.extend(['\\', other]),
        // The text ends here, and with it a quote that does not.
        None => {}
    }
}

/// What follows a `$`.
fn begins_name(text: &str) -> bool {
    text.starts_with(|c: char| c == '{' || c == '_' || c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, Result<&str, Fault>)]) {
        let found: Vec<Entry<'_>> = entries(text).collect();
        let found: Vec<_> = found.iter().map(|it| (it.name, it.value.as_deref().map_err(|it| *it))).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn lines_become_variables_and_all_else_is_passed_over() {
        check("", &[]);
        check("\n# A=1\n\t# B=2\n   \n", &[]);
        check("A=1\nB=2", &[("A", Ok("1")), ("B", Ok("2"))]);
        check("A=1\r\nB=\r\n\r\n", &[("A", Ok("1")), ("B", Ok(""))]);
        check(
            "  export A = 1 \nexport\tB=2\nexported=3",
            &[("A", Ok("1")), ("B", Ok("2")), ("exported", Ok("3"))],
        );
    }

    #[test]
    fn a_plain_value_ends_with_its_line_or_before_a_comment() {
        check("A=a b=c # d", &[("A", Ok("a b=c"))]);
        check("A=a#b", &[("A", Ok("a#b"))]);
        check("A=#b", &[("A", Ok("#b"))]);
        check("A= # none", &[("A", Ok(""))]);
        check(r#"A=it's "so" \n"#, &[("A", Ok(r#"it's "so" \n"#))]);
        check("A=pa$ $5 5$", &[("A", Ok("pa$ $5 5$"))]);
    }

    #[test]
    fn quotes_keep_what_is_in_them() {
        check("A=' a # b '  # c", &[("A", Ok(" a # b "))]);
        check("A=\"a\r\nb\"\nB=1", &[("A", Ok("a\nb")), ("B", Ok("1"))]);
        check("A='a\n=b\n'\nB=1", &[("A", Ok("a\n=b\n")), ("B", Ok("1"))]);
        check(r#"A="\n\t\r\\\"\$X\d""#, &[("A", Ok("\n\t\r\\\"$X\\d"))]);
        check(r"A='\n${X} $X'", &[("A", Ok(r"\n${X} $X"))]);
        check("A=\"\"\nB=''", &[("A", Ok("")), ("B", Ok(""))]);
    }

    #[test]
    fn what_tools_read_in_different_ways_is_refused_by_itself() {
        check("A=$X\nB=1", &[("A", Err(Fault::Filled)), ("B", Ok("1"))]);
        check("A=\"a ${X}\"\nB=1", &[("A", Err(Fault::Filled)), ("B", Ok("1"))]);
        check("A='a' b\nB=1", &[("A", Err(Fault::MoreAfterQuote)), ("B", Ok("1"))]);
        check(r"A='Let\'s'", &[("A", Err(Fault::MoreAfterQuote))]);
        check("A=\"a\nB=1\\", &[("A", Err(Fault::Unclosed))]);
        check(
            "A\nB: 1\n=2\nC=3",
            &[("", Err(Fault::NotOne)), ("", Err(Fault::NotOne)), ("", Err(Fault::NotOne)), ("C", Ok("3"))],
        );
        check("A=a\0b", &[("A", Err(Fault::Nul))]);
    }

    #[test]
    fn what_may_be_a_part_of_a_secret_is_no_name() {
        check("MIIEvQIBADAN/gkqhkiG9w0BAQEF==", &[("", Err(Fault::NotOne))]);
        assert!(!may_be_name(&"A".repeat(64)) && !may_be_name("a+b") && may_be_name("DB_PASSWORD"));
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_text_places_are_within_it_and_in_order(text in "[A-C=\"'\\\\$#{ \n\ré]{0,40}") {
            let mut last = 0;
            for entry in entries(&text) {
                proptest::prop_assert!(entry.at >= last);
                proptest::prop_assert!(text[entry.at..].starts_with(entry.name));
                last = entry.at + 1;
            }
        }
    }
}
