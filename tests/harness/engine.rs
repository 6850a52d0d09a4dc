//! Which container engine the tests may use.
//!
//! `MSCTL_TEST_ENGINE` says it: `none` (or nothing) skips what needs one, `required` takes the one
//! that msctl itself would find, and anything else is the address of one. A test that was promised
//! an engine fails without it.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

/// An engine that must be there.
pub struct Engine {
    address: Option<String>,
}

impl Engine {
    /// One that a test has made for itself, or the way to one.
    pub fn at(address: &str) -> Self {
        Self { address: Some(address.to_owned()) }
    }

    /// What `Docker::connect` and `msctl --host` take; `None` for the usual places.
    pub fn host(&self) -> Option<&str> {
        self.address.as_deref()
    }
}

/// The engine to test with; `None` skips the calling test, which is said and counted.
pub fn engine() -> Option<Engine> {
    match std::env::var("MSCTL_TEST_ENGINE").as_deref() {
        Err(_) | Ok("" | "none") => {
            skip();
            None
        }
        Ok("required") => Some(Engine { address: None }),
        Ok(address) => Some(Engine { address: Some(address.to_owned()) }),
    }
}

/// Adds the calling test to `target/tmp/skipped-tests`, so that a whole run can tell how many.
#[expect(clippy::print_stdout, reason = "a skipped test must be seen")]
fn skip() {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    println!("SKIPPED (no engine): {test}");
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("skipped-tests");
    let mut file =
        OpenOptions::new().create(true).append(true).open(path).expect("the target folder is ours");
    writeln!(file, "{test}").expect("the target folder is ours");
}
