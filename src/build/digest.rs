//! A digest of what a service is built from: contents, names, execute bits, links. Not times, not
//! owners, not the order in which files were made.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::model::instance::BuildDigest;

use super::error::BuildError;
use super::walk::{Entry, Fingerprint, Kind};

/// Changes when the meaning of anything that is hashed does.
const FORMAT: &[u8] = b"msctl build 1";
/// A file changed twice within the clock's step may look unchanged, so what is that young is not
/// remembered.
const YOUNG_NANOS: i128 = 100_000_000;
/// Bounds the memory; forgetting costs only reading again.
const REMEMBERED: usize = 200_000;

pub type ContentDigest = [u8; 32];

/// For the whole process: a builder lives as short as a plan.
static CONTENTS: LazyLock<Mutex<HashMap<PathBuf, (Fingerprint, ContentDigest)>>> =
    LazyLock::new(Mutex::default);

/// Adds up named parts; every part is told from the next by its length.
pub struct Digester(Sha256);

impl Digester {
    pub fn new() -> Self {
        let mut digester = Self(Sha256::new());
        digester.add("format", FORMAT);
        digester
    }

    pub fn add(&mut self, name: &str, value: &[u8]) {
        for part in [name.as_bytes(), value] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
    }

    /// Adds the files of a folder; empty folders are nothing.
    pub fn add_files(&mut self, folder: &Path, entries: &[Entry]) -> Result<(), BuildError> {
        for entry in entries {
            let path = entry.path.as_os_str().as_bytes();
            match &entry.kind {
                Kind::Folder => {}
                Kind::Link { target } => {
                    self.add("link", path);
                    self.add("target", target.as_os_str().as_bytes());
                }
                Kind::File { is_executable, fingerprint } => {
                    let Some(content) = content(&folder.join(&entry.path), *fingerprint)? else { continue };
                    self.add(if *is_executable { "program" } else { "file" }, path);
                    self.add("content", &content);
                }
            }
        }
        Ok(())
    }

    pub fn finish(self) -> BuildDigest {
        BuildDigest(format!("{:x}", self.0.finalize()))
    }
}

/// `None` when the file is gone by now.
pub fn content(path: &Path, fingerprint: Fingerprint) -> Result<Option<ContentDigest>, BuildError> {
    if let Some((seen, digest)) = remembered().get(path)
        && *seen == fingerprint
    {
        return Ok(Some(*digest));
    }
    let digest: ContentDigest = match read(path) {
        Ok(digest) => digest,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(BuildError::file("read", path, error)),
    };
    let age = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos().cast_signed());
    if age.saturating_sub(fingerprint.modified) > YOUNG_NANOS {
        let mut remembered = remembered();
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(path.to_owned(), (fingerprint, digest));
    }
    Ok(Some(digest))
}

fn read(path: &Path) -> std::io::Result<ContentDigest> {
    let mut hasher = Sha256::new();
    std::io::copy(&mut std::fs::File::open(path)?, &mut hasher)?;
    Ok(hasher.finalize().into())
}

fn remembered() -> std::sync::MutexGuard<'static, HashMap<PathBuf, (Fingerprint, ContentDigest)>> {
    CONTENTS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
