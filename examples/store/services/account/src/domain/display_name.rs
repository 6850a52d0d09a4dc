//! What people want to be called.

use std::fmt;
use std::str::FromStr;

/// Never empty, never endless, never with control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayName(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to 64 characters, and no control characters")]
pub struct NotADisplayName;

impl FromStr for DisplayName {
    type Err = NotADisplayName;

    fn from_str(text: &str) -> Result<Self, NotADisplayName> {
        let text = text.trim();
        let fits = (1..=64).contains(&text.chars().count());
        if fits && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotADisplayName)
        }
    }
}

impl fmt::Display for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_counted_in_characters() {
        assert_eq!(" João ".parse::<DisplayName>().unwrap().to_string(), "João");
        assert!("ã".repeat(64).parse::<DisplayName>().is_ok());
    }

    #[test]
    fn what_nobody_could_be_called_is_refused() {
        for text in ["", "  ", "a\u{7}b", &"x".repeat(65)] {
            assert_eq!(text.parse::<DisplayName>(), Err(NotADisplayName), "{text:?}");
        }
    }
}
