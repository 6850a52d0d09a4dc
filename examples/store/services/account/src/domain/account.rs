//! The account itself.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use super::DisplayName;

/// What the store knows of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    pub display_name: Option<DisplayName>,
    pub created_at: Timestamp,
}

/// The subject of the person's tokens: whoever issues those decides what it looks like.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountId(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to 128 visible ASCII characters")]
pub struct NotAnAccountId;

impl Account {
    /// The account of somebody who was never here before.
    pub fn new(id: AccountId, now: Timestamp) -> Self {
        Self { id, display_name: None, created_at: now }
    }
}

impl FromStr for AccountId {
    type Err = NotAnAccountId;

    fn from_str(text: &str) -> Result<Self, NotAnAccountId> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && (1..=128).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAnAccountId)
        }
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
