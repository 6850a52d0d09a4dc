//! What a rate limiter says about one request, and how the client is told.
//!
//! Counts nothing itself.

use std::fmt;
use std::time::Duration;

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

const RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RATELIMIT_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Where a client stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quota {
    /// So many requests are allowed in `period`.
    pub(super) limit: u32,
    pub(super) period: Duration,
    /// So many are left at once.
    pub(super) remaining: u32,
    /// Until all of them are there again.
    pub(super) reset: Duration,
    /// Until one is there again; zero while one is.
    pub(super) retry_after: Duration,
}

impl Quota {
    /// `RateLimit-Limit`, `-Remaining` and `-Reset`, which clients know from drafts of the HTTP
    /// working group; numbers and seconds.
    pub(super) fn add_headers(&self, headers: &mut HeaderMap) {
        headers.insert(RATELIMIT_LIMIT, HeaderValue::from(self.limit));
        headers.insert(RATELIMIT_REMAINING, HeaderValue::from(self.remaining));
        headers.insert(RATELIMIT_RESET, HeaderValue::from(whole_seconds(self.reset)));
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let period = humantime::format_duration(self.period);
        write!(f, "{} in {period} are allowed", self.limit)
    }
}

/// Rounded up: whoever waits this long has waited long enough.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
