//! Who asks.

use std::collections::BTreeSet;

/// A signed-in caller, as the gateway verified it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub id: String,
    pub scopes: BTreeSet<String>,
}

impl Caller {
    pub fn may_change_products(&self) -> bool {
        self.scopes.contains("products:write")
    }
}
