//! Words that people read: never empty, never endless, never with control characters.

use std::fmt;
use std::str::FromStr;

/// What a product is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

/// What one of it is: `kg`, `box`, `hour`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {longest} characters, and no control characters")]
pub struct NotAText {
    longest: usize,
}

impl FromStr for Name {
    type Err = NotAText;

    fn from_str(text: &str) -> Result<Self, NotAText> {
        trimmed(text, 120).map(Self)
    }
}

impl FromStr for Unit {
    type Err = NotAText;

    fn from_str(text: &str) -> Result<Self, NotAText> {
        trimmed(text, 16).map(Self)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

fn trimmed(text: &str, longest: usize) -> Result<String, NotAText> {
    let text = text.trim();
    let fits = (1..=longest).contains(&text.chars().count());
    if fits && !text.chars().any(char::is_control) { Ok(text.to_owned()) } else { Err(NotAText { longest }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_trimmed_and_counted_in_characters() {
        assert_eq!(" Pão de queijo ".parse::<Name>().unwrap().to_string(), "Pão de queijo");
        assert!("ã".repeat(120).parse::<Name>().is_ok());
    }

    #[test]
    fn what_nobody_could_read_is_refused() {
        for text in ["", "   ", "two\nlines", &"x".repeat(17)] {
            assert_eq!(text.parse::<Unit>(), Err(NotAText { longest: 16 }), "{text:?}");
        }
    }
}
