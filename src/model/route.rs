//! What a service answers to at the gateway, and who may call it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::traffic::RoutePolicy;

/// A path prefix matched by whole segments: `/orders` matches `/orders` and `/orders/7`, never
/// `/ordersx`. Starts with `/`, has no empty, `.` or `..` segment, no percent-encoding, and no
/// trailing slash unless it is `/` itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoutePrefix(Box<str>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a route path: {reason}")]
pub struct RoutePrefixError {
    text: String,
    reason: &'static str,
}

impl RoutePrefix {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments between the slashes; none for `/`.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }
}

impl FromStr for RoutePrefix {
    type Err = RoutePrefixError;

    fn from_str(text: &str) -> Result<Self, RoutePrefixError> {
        match fault_of_prefix(text) {
            Some(reason) => Err(RoutePrefixError { text: text.to_owned(), reason }),
            None => Ok(Self(text.into())),
        }
    }
}

fn fault_of_prefix(text: &str) -> Option<&'static str> {
    // RFC 3986, section 2.3: the characters that never need percent-encoding.
    let unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    if text == "/" {
        return None;
    }
    let Some(rest) = text.strip_prefix('/') else {
        return Some("it must start with \"/\"");
    };
    if rest.ends_with('/') {
        return Some("leave out the \"/\" at its end");
    }
    if rest.split('/').any(|segment| segment.is_empty() || segment == "." || segment == "..") {
        return Some("it has an empty, \".\" or \"..\" segment");
    }
    if !rest.chars().all(|c| c == '/' || unreserved(c)) {
        return Some("use only letters, digits, \"-\", \".\", \"_\", \"~\" and \"/\"");
    }
    None
}

impl fmt::Display for RoutePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// One OAuth 2 scope (RFC 6749, section 3.3: visible ASCII without `"` and `\`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(Box<str>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a scope; write something like \"orders:write\" (visible ASCII, no spaces or quotes)")]
pub struct ScopeError(String);

impl Scope {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let allowed = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if text.is_empty() || text.len() > 128 || !text.bytes().all(allowed) {
            return Err(ScopeError(text.to_owned()));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Who may use a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// Anybody with a valid token.
    Authenticated,
    /// Anybody whose token carries all of these; never empty.
    Scopes(BTreeSet<Scope>),
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.pad("public"),
            Self::Authenticated => f.pad("authenticated"),
            Self::Scopes(scopes) => {
                let names: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
                f.pad(&format!("scopes {}", names.join(" ")))
            }
        }
    }
}

/// Which methods an access rule covers: a route may name some, or stand for all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Methods {
    All,
    /// Upper-case method tokens, never empty.
    Only(BTreeSet<String>),
}

/// One line of a service's `[[routes]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    pub prefix: RoutePrefix,
    pub methods: Methods,
    pub access: Access,
    /// Whether the service sees `/7` (true) or `/orders/7` (false) for `/orders/7`.
    pub strip_prefix: bool,
    /// The host names that it is for, lower case, without port; empty: any.
    pub hosts: BTreeSet<String>,
    pub policy: RoutePolicy,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_absolute_and_normal() {
        for good in ["/", "/orders", "/api/v1.0/orders", "/~a_b-c"] {
            assert_eq!(good.parse::<RoutePrefix>().unwrap().as_str(), good);
        }
        for bad in ["", "orders", "/orders/", "//", "/a//b", "/a/../b", "/.", "/a%2fb", "/a b", "/a?b", "/é"]
        {
            assert!(bad.parse::<RoutePrefix>().is_err(), "{bad}");
        }
        assert_eq!(
            "/orders/".parse::<RoutePrefix>().unwrap_err().to_string(),
            "\"/orders/\" is not a route path: leave out the \"/\" at its end"
        );
    }

    #[test]
    fn scopes_are_one_visible_word() {
        assert!("orders:write".parse::<Scope>().is_ok());
        for bad in ["", "a b", "a\"b", "a\\b", "é"] {
            assert!(bad.parse::<Scope>().is_err(), "{bad}");
        }
    }
}
