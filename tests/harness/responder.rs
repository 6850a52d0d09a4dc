//! The service that tests run, compiled once: see `tests/fixtures/responder/main.rs`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/responder/main.rs");

/// The path of the static program, building it where nobody has yet.
pub fn responder() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let program = folder.join("responder");
        if !is_newer(&program, Path::new(SOURCE)) {
            compile(folder, &program);
        }
        program
    })
}

fn is_newer(product: &Path, source: &Path) -> bool {
    let changed = |path: &Path| path.metadata().and_then(|m| m.modified()).ok();
    changed(product).is_some_and(|made| Some(made) > changed(source))
}

/// Compiles under a name of our own first: another test process may be doing the same.
fn compile(folder: &Path, program: &Path) {
    std::fs::create_dir_all(folder).expect("the target folder can be written");
    let unfinished = folder.join(format!("responder-{}", std::process::id()));
    let compiler = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let status = Command::new(compiler)
        .args(["--edition", "2024", "-O", "-C", "strip=symbols", "-C", "target-feature=+crt-static"])
        .args(["--target", &format!("{}-unknown-linux-gnu", std::env::consts::ARCH)])
        .args(["--crate-name", "responder", "-o"])
        .args([unfinished.as_path(), Path::new(SOURCE)])
        .status()
        .expect("rustc can be run");
    assert!(status.success(), "the responder does not compile");
    std::fs::rename(unfinished, program).expect("the target folder can be written");
}
