//! The programs that tests run as services, each compiled once: see `tests/fixtures/*/main.rs`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

/// The path of a static program that answers, with faults chosen by its environment.
pub fn responder() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| compiled("responder"))
}

/// The path of one that is edited under load.
pub fn edited() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| compiled("edited"))
}

/// Builds it where nobody has yet.
fn compiled(name: &str) -> PathBuf {
    let source = Path::new(FIXTURES).join(name).join("main.rs");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let program = folder.join(name);
    if !is_newer(&program, &source) {
        compile(&source, folder, &program);
    }
    program
}

fn is_newer(product: &Path, source: &Path) -> bool {
    let changed = |path: &Path| path.metadata().and_then(|m| m.modified()).ok();
    changed(product).is_some_and(|made| Some(made) > changed(source))
}

/// Compiles under a name of our own first: another test process may be doing the same.
fn compile(source: &Path, folder: &Path, program: &Path) {
    std::fs::create_dir_all(folder).expect("the target folder can be written");
    // What the compiler puts beside it is named by it, up to a dot.
    let unfinished = PathBuf::from(format!("{}-{}", program.display(), std::process::id()));
    let compiler = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let status = Command::new(compiler)
        .args(["--edition", "2024", "-O", "-C", "strip=symbols", "-C", "target-feature=+crt-static"])
        .args(["--target", &format!("{}-unknown-linux-gnu", std::env::consts::ARCH)])
        .args(["--crate-name", "service", "-o"])
        .args([unfinished.as_path(), source])
        .status()
        .expect("rustc can be run");
    assert!(status.success(), "{} does not compile", source.display());
    std::fs::rename(unfinished, program).expect("the target folder can be written");
}
