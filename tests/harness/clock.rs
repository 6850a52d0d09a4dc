//! A wall clock that a test puts forward and back, for msctl alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Dropped, it goes with its folder; whoever runs by it then has the machine's time.
pub struct Clock {
    folder: tempfile::TempDir,
}

impl Clock {
    /// One that goes right.
    pub fn new() -> Self {
        let clock = Self { folder: tempfile::tempdir().unwrap() };
        clock.is_off_by(0);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/clock/clock.c");
        let program = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let compiled = Command::new(program)
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([clock.library(), source])
            .status()
            .expect("compiling msctl takes a C compiler, too");
        assert!(compiled.success());
        clock
    }

    /// What a process is given that is to go by this clock.
    pub fn variables(&self) -> [(&'static str, PathBuf); 2] {
        [("LD_PRELOAD", self.library()), ("CLOCK_OFFSET", self.offset())]
    }

    /// Puts it forward by so many seconds of what the machine says, or back.
    pub fn is_off_by(&self, seconds: i64) {
        // Read at any moment, so it is replaced whole.
        let next = self.folder.path().join("next");
        fs::write(&next, seconds.to_string()).unwrap();
        fs::rename(next, self.offset()).unwrap();
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("clock.so")
    }

    fn offset(&self) -> PathBuf {
        self.folder.path().join("offset")
    }
}
