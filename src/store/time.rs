//! Moments as SQLite keeps them: whole seconds or milliseconds since 1970.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Moments before 1970 become 1970: no clock that says so is worth more.
pub(super) fn to_seconds(moment: SystemTime) -> i64 {
    let seconds = moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

pub(super) fn to_milliseconds(moment: SystemTime) -> i64 {
    let milliseconds = moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    i64::try_from(milliseconds).unwrap_or(i64::MAX)
}

pub(super) fn from_seconds(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}
