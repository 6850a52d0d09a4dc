//! Platforms whose services are compiled and built for real. What they compile is kept for the next
//! run under `target/e2e-cache`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::stage::{Runtime, Stage};
use super::witness;
use crate::harness::engine::engine;

pub const PYTHON: &str = "python:3.12-slim";
pub const NODE: &str = "node:22-slim";

/// How long the first build may take.
const COMPILATION: Duration = Duration::from_secs(900);

/// Runs a scenario that builds on these images. Where there is an engine, they have to be there.
pub async fn on_docker(images: &[&str], scenario: impl AsyncFn(&Stage)) {
    let Some(engine) = engine() else { return };
    let mut stage = Stage::new(Runtime::Docker, Some(engine));
    stage.patience = COMPILATION;
    for image in images {
        let found = witness::engine_of(&stage).inspect_image(image).await;
        assert!(found.is_ok(), "no image {image}: make it with tests/offline-images/build");
    }
    stage.play(scenario).await;
}

/// Has a platform listen wherever there is room, and keep what it compiles where it is found again.
pub fn settle(platform: &Path) {
    let manifest = platform.join("msctl.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("127.0.0.1:8080", "127.0.0.1:0")).unwrap();
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("e2e-cache");
    fs::create_dir_all(&cache).unwrap();
    fs::create_dir_all(platform.join(".msctl")).unwrap();
    std::os::unix::fs::symlink(cache, platform.join(".msctl/cache")).unwrap();
}
