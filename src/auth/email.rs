//! Email addresses, in the one form in which they are compared.

use std::fmt;
use std::str::FromStr;

/// A plausible address: ASCII, one `@`, lower case, no space around or inside.
///
/// Only ASCII, because two addresses that look the same must be the same account. Whether mail
/// arrives there is not known: nothing is ever sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

/// RFC 5321, section 4.5.3.1.3, less the angle brackets.
const MAX_LENGTH: usize = 254;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an email address like ada@example.com (ASCII, at most 254 characters)")]
pub struct EmailError;

impl Email {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        let text = text.trim();
        let (local, domain) = text.split_once('@').ok_or(EmailError)?;
        let visible = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic());
        if text.len() > MAX_LENGTH || !visible(local) || !visible(domain) || domain.contains('@') {
            return Err(EmailError);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_form() {
        assert_eq!(" Ada@Example.COM ".parse::<Email>().unwrap().as_str(), "ada@example.com");
    }

    #[test]
    fn what_cannot_be_an_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(250));
        for bad in ["", "ada", "@example.com", "ada@", "a@b@c", "a b@c", "ada@exämple.com", "a\n@b", &long] {
            assert_eq!(bad.parse::<Email>(), Err(EmailError), "{bad:?}");
        }
    }
}
