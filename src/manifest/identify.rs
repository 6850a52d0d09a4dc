//! Which platform a folder holds, as far as that can be told from a manifest that may be broken: who
//! is in the middle of an edit must still be able to look and to stop.

use std::path::Path;

use super::load::worktree_of;
use crate::model::name::{PlatformId, Worktree};

/// The platform's identity, if its `msctl.toml` says as much as a valid name.
#[must_use]
pub fn identify(manifest: &Path) -> Option<PlatformId> {
    let table: toml::Table = std::fs::read_to_string(manifest).ok()?.parse().ok()?;
    let name = table.get("platform")?.get("name")?.as_str()?.parse().ok()?;
    Some(PlatformId { name, worktree: worktree(manifest)? })
}

/// Which checkout a manifest belongs to, whatever it says.
#[must_use]
pub fn worktree(manifest: &Path) -> Option<Worktree> {
    Some(worktree_of(&manifest.parent()?.canonicalize().ok()?))
}
