//! How services fail, and when they are tried again.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::event::Failure;
use crate::model::instance::SpecHash;

/// The pause before a failed service is tried again: doubled with each failure, up to the longest.
const FIRST_RETRY: Duration = Duration::from_secs(1);
pub const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// A service that failed this often in a row is called crash-looping.
pub const CRASH_LOOP: u32 = 3;

/// How a service has been failing.
#[derive(Debug, Clone, PartialEq)]
pub struct Trouble {
    pub count: u32,
    pub retry: Retry,
    /// The version that fails, where it is known: another one need not wait.
    pub version: Option<SpecHash>,
    /// The first failure is the one worth reading; later ones tend to repeat it.
    pub failure: Failure,
}

/// When a service that failed is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    At(Instant),
    /// Once it differs, or somebody asks: as it is it would fail in the same way.
    OnChange,
    /// It is being tried.
    UnderWay,
}

impl Trouble {
    /// Notes another failure after those of `before`.
    #[must_use]
    pub fn after(before: Option<Self>, failure: Failure, version: Option<SpecHash>, now: Instant) -> Self {
        let count = before.as_ref().map_or(1, |trouble| trouble.count.saturating_add(1));
        let retry = if failure.is_lasting { Retry::OnChange } else { Retry::At(now + pause(count)) };
        let failure = before.map_or(failure, |trouble| trouble.failure);
        Self { count, retry, version, failure }
    }

    /// Whether it is left alone for now.
    #[must_use]
    pub fn waits(&self, now: Instant) -> bool {
        match self.retry {
            Retry::At(at) => at > now,
            Retry::OnChange => true,
            Retry::UnderWay => false,
        }
    }

    /// Whether its latest try has failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.retry != Retry::UnderWay
    }

    /// Whether it has nothing to do with the version: its sources cannot be read, what it calls fails.
    #[must_use]
    pub fn is_of_any_version(&self) -> bool {
        self.version.is_none()
    }

    #[must_use]
    pub fn retry_at(&self) -> Option<Instant> {
        match self.retry {
            Retry::At(at) => Some(at),
            Retry::OnChange | Retry::UnderWay => None,
        }
    }
}

fn pause(count: u32) -> Duration {
    FIRST_RETRY.saturating_mul(1_u32 << (count - 1).min(6)).min(LONGEST_RETRY)
}
