//! How the gateway itself is: by which configuration it goes, and whether it wants requests.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Which configuration it goes by, counted from 1; each that was accepted counts.
    pub generation: u64,
    pub loaded_at: Option<SystemTime>,
    /// Why the latest configuration was refused, if one was since.
    pub refused: Option<Refused>,
    /// Tokens cannot be checked: their keys were never fetched.
    pub keys_missing: bool,
    pub stopping: bool,
}

#[derive(Debug, Clone)]
pub struct Refused {
    pub at: SystemTime,
    pub reason: String,
}

impl Report {
    /// Why it should be given no requests; empty if it should.
    #[must_use]
    pub fn obstacles(&self) -> Vec<&'static str> {
        let obstacles = [
            (self.generation == 0, "it has not started yet"),
            (self.keys_missing, "the keys of [auth] were not fetched yet"),
            (self.stopping, "it is stopping"),
        ];
        obstacles.into_iter().filter(|(holds, _)| *holds).map(|(_, why)| why).collect()
    }
}

#[derive(Debug, Default)]
pub struct Status(Mutex<Report>);

impl Status {
    pub fn report(&self) -> Report {
        self.lock().clone()
    }

    pub fn follows_another(&self) {
        let mut report = self.lock();
        report.generation += 1;
        report.loaded_at = Some(SystemTime::now());
        report.refused = None;
    }

    pub fn refuses(&self, reason: String) {
        self.lock().refused = Some(Refused { at: SystemTime::now(), reason });
    }

    pub fn misses_keys(&self, missing: bool) {
        self.lock().keys_missing = missing;
    }

    pub fn stops(&self) {
        self.lock().stopping = true;
    }

    fn lock(&self) -> MutexGuard<'_, Report> {
        // Each change is one assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
