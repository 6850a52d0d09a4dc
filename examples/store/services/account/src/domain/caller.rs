//! Who asks, and what they may see.

use std::collections::BTreeSet;

use super::AccountId;

/// A signed-in caller, as the gateway verified it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub id: AccountId,
    pub scopes: BTreeSet<String>,
}

impl Caller {
    pub fn owns(&self, account: &AccountId) -> bool {
        self.id == *account
    }

    /// One's own account, or any for an administrator.
    pub fn may_use(&self, account: &AccountId) -> bool {
        self.owns(account) || self.scopes.contains("admin")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(id: &str, scope: &str) -> Caller {
        Caller { id: id.parse().unwrap(), scopes: BTreeSet::from([scope.to_owned()]) }
    }

    #[test]
    fn everybody_may_use_their_own_account_and_an_administrator_every_one() {
        let ana: AccountId = "ana".parse().unwrap();
        assert!(caller("ana", "").may_use(&ana));
        assert!(caller("rui", "admin").may_use(&ana));
        assert!(!caller("rui", "administrator").may_use(&ana));
    }
}
