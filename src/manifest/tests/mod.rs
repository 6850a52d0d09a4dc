//! The room from its door: `load` on whole platforms, against the full text people see.

mod files;
mod fixtures;
mod folders;
mod inputs;
mod properties;
mod settings;

use std::path::Path;

use super::error::ManifestError;
use super::load::load;
use crate::model::platform::Platform;

const PLATFORM: &str = "[platform]\nname = \"store\"\n";
/// Three lines, so that what a test appends begins on line 5.
const ORDER: &str = "[service]\nname = \"order\"\n[build]\nstrategy = \"dockerfile\"\n";

/// A platform in a folder of its own, gone with it.
struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let scratch = Self(tempfile::tempdir().unwrap());
        for (path, content) in files {
            scratch.write(path, content);
        }
        scratch
    }

    /// A platform with one service.
    fn with_service(content: &[u8]) -> Self {
        Self::new(&[("msctl.toml", PLATFORM.as_bytes()), ("services/order/service.toml", content)])
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, path: &str, content: &[u8]) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn load(&self) -> Result<Platform, ManifestError> {
        load(&self.root().join("msctl.toml"))
    }

    /// What `load` says, which must be a refusal.
    fn refusal(&self) -> String {
        self.load().unwrap_err().to_string()
    }
}
