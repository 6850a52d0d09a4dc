//! Tests that cannot run here say so and are counted; where nothing may be skipped, they fail.

use std::fs::OpenOptions;
use std::io::Write;

/// Skips the calling test for this reason: `tests/run` shows and counts it.
#[expect(clippy::print_stdout, reason = "a skipped test must be seen")]
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let strict = std::env::var("MSCTL_TEST_STRICT").is_ok_and(|strict| strict == "1");
    assert!(!strict, "nothing may be skipped, but {reason}");
    println!("SKIPPED ({reason}): {test}");
    if let Some(path) = std::env::var_os("MSCTL_TEST_SKIPPED") {
        let mut file = OpenOptions::new().create(true).append(true).open(path).expect("tests/run made it");
        writeln!(file, "{test}: {reason}").expect("tests/run made it");
    }
}
