//! The product itself.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::{Name, Price, Unit};

/// Something that the store sells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    pub id: ProductId,
    pub name: Name,
    pub price: Price,
    pub unit: Unit,
}

/// What somebody wants to sell, before it has an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub name: Name,
    pub price: Price,
    pub unit: Unit,
}

/// A version 7 UUID, so that products sort by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProductId(Uuid);

impl Product {
    /// Gives a draft its identity.
    pub fn from_draft(draft: Draft) -> Self {
        let Draft { name, price, unit } = draft;
        Self { id: ProductId(Uuid::now_v7()), name, price, unit }
    }
}

impl FromStr for ProductId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

impl fmt::Display for ProductId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}
