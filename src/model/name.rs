//! Names that end up in container names, host names, paths and environment variables.

use std::fmt;
use std::str::FromStr;

/// The longest name, in characters. Container and host names are built from several of them, and
/// a DNS label holds 63 (RFC 1035, section 2.3.4).
pub const MAX_NAME_LENGTH: usize = 40;

/// Service names that would collide with what the platform itself serves or resolves.
const RESERVED_SERVICE_NAMES: [&str; 4] = ["auth", "gateway", "localhost", "msctl"];

/// Why a text is not a name. Its message shows the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a {kind} name is empty; {RULE}")]
    Empty { kind: &'static str },
    #[error("a {kind} name of {length} characters is too long; {RULE}")]
    TooLong { kind: &'static str, length: usize },
    #[error("{text:?} is not a {kind} name: {offender:?} is not allowed there; {RULE}")]
    Character { kind: &'static str, text: String, offender: char },
    #[error("{text:?} is not a {kind} name: it ends in \"-\"; {RULE}")]
    TrailingHyphen { kind: &'static str, text: String },
    #[error("{text:?} is reserved: the platform itself answers to that name")]
    Reserved { text: String },
}

const RULE: &str = "a name is 1 to 40 of a-z, 0-9 and \"-\", starting with a letter";

fn check_name(kind: &'static str, text: &str) -> Result<(), NameError> {
    let length = text.chars().count();
    if length == 0 {
        return Err(NameError::Empty { kind });
    }
    if length > MAX_NAME_LENGTH {
        return Err(NameError::TooLong { kind, length });
    }
    let allowed =
        |(index, c): (usize, char)| c.is_ascii_lowercase() || (index > 0 && (c.is_ascii_digit() || c == '-'));
    if let Some((_, offender)) = text.chars().enumerate().find(|&at| !allowed(at)) {
        return Err(NameError::Character { kind, text: text.to_owned(), offender });
    }
    if text.ends_with('-') {
        return Err(NameError::TrailingHyphen { kind, text: text.to_owned() });
    }
    Ok(())
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $reserved:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                check_name($kind, text)?;
                let reserved: &[&str] = $reserved;
                if reserved.contains(&text) {
                    return Err(NameError::Reserved { text: text.to_owned() });
                }
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name_type!(
    /// The name of a service: its folder, its host name, its key everywhere.
    ServiceName, "service", &RESERVED_SERVICE_NAMES
);
name_type!(
    /// The name of a platform.
    PlatformName, "platform", &[]
);

impl ServiceName {
    /// The name as an environment variable's stem: `exchange-rate` gives `EXCHANGE_RATE`.
    #[must_use]
    pub fn to_variable_stem(&self) -> String {
        self.0.to_ascii_uppercase().replace('-', "_")
    }
}

/// Which checkout of a platform this is: six hexadecimal digits made from the canonical path of its
/// root, so that two worktrees of one platform never share a container, a network or a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Worktree(Box<str>);

impl Worktree {
    /// Takes the first six digits of a hexadecimal digest of the root's path.
    ///
    /// # Errors
    /// When `text` is not exactly six lower-case hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, NameError> {
        let hexadecimal = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        match text.chars().find(|&c| !hexadecimal(c)) {
            Some(offender) => Err(NameError::Character { kind: "worktree", text: text.to_owned(), offender }),
            None if text.len() == 6 => Ok(Self(text.into())),
            None => Err(NameError::TooLong { kind: "worktree", length: text.len() }),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Worktree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The name of a linked git worktree, as one label of a host name (RFC 1123, section 2.1): it is for
/// people and does not tell two apart, which [`Worktree`] does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckoutName(Box<str>);

impl CheckoutName {
    /// Whatever git or people call it, in letters, digits and single hyphens; `None` where none is left.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let mut label = String::new();
        for c in text.chars().map(|c| c.to_ascii_lowercase()) {
            match c {
                'a'..='z' | '0'..='9' => label.push(c),
                _ if label.is_empty() || label.ends_with('-') => {}
                _ => label.push('-'),
            }
        }
        label.truncate(MAX_NAME_LENGTH);
        let label = label.trim_end_matches('-');
        (!label.is_empty()).then(|| Self(label.into()))
    }
}

impl fmt::Display for CheckoutName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What tells one running platform from every other on this machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlatformId {
    pub name: PlatformName,
    pub worktree: Worktree,
}

impl fmt::Display for PlatformId {
    /// `store-3fa9c1`: used for networks, container names and the state folder.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.name, self.worktree)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: &str) {
        let found = text.parse::<ServiceName>().map_or_else(|e| e.to_string(), |n| n.to_string());
        assert_eq!(found, expected);
    }

    #[test]
    fn good_names_are_kept_as_they_are() {
        for name in ["a", "orders", "exchange-rate", "v2", &"a".repeat(40)] {
            check(name, name);
        }
    }

    #[test]
    fn bad_names_show_the_rule() {
        let rule = "a name is 1 to 40 of a-z, 0-9 and \"-\", starting with a letter";
        check("", &format!("a service name is empty; {rule}"));
        check("--help", &format!("\"--help\" is not a service name: '-' is not allowed there; {rule}"));
        check("../x", &format!("\"../x\" is not a service name: '.' is not allowed there; {rule}"));
        check("Orders", &format!("\"Orders\" is not a service name: 'O' is not allowed there; {rule}"));
        check("a;rm -rf", &format!("\"a;rm -rf\" is not a service name: ';' is not allowed there; {rule}"));
        check("cafе", &format!("\"cafе\" is not a service name: 'е' is not allowed there; {rule}"));
        check("a-", &format!("\"a-\" is not a service name: it ends in \"-\"; {rule}"));
        check(&"a".repeat(300), &format!("a service name of 300 characters is too long; {rule}"));
        check("auth", "\"auth\" is reserved: the platform itself answers to that name");
    }

    #[test]
    fn a_checkout_is_called_by_a_label_that_is_like_its_name() {
        let (long, cut) = ("x".repeat(100), "y".repeat(39) + "-rest");
        for (text, label) in [
            ("feature-x", Some("feature-x")),
            ("Feature_X", Some("feature-x")),
            ("fix/JIRA-12: größe!", Some("fix-jira-12-gr-e")),
            ("2nd", Some("2nd")),
            ("--a--b--", Some("a-b")),
            ("日本", None),
            ("", None),
            (&long, Some(&long[..40])),
            // Cut at its hyphen.
            (&cut, Some(&cut[..39])),
        ] {
            let found = CheckoutName::of(text).map(|name| name.to_string());
            assert_eq!(found.as_deref(), label, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_parses_is_safe_in_a_path_a_host_and_a_variable(text in ".{0,50}") {
            if let Ok(name) = text.parse::<ServiceName>() {
                prop_assert!(name.as_str().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
                prop_assert!(!name.as_str().starts_with('-'));
                prop_assert_eq!(name.as_str(), text);
            }
        }
    }
}
