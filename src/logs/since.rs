//! What `--since` means.

use std::time::SystemTime;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no point in time; write how long ago (\"10m\", \"1h 30m\") or when (\"2026-05-01T12:00:00Z\")"
)]
pub struct SinceError(String);

/// A duration before `now`, or a time in RFC 3339.
///
/// # Errors
/// When the text is neither.
pub fn parse_since(text: &str, now: SystemTime) -> Result<SystemTime, SinceError> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return Ok(now.checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH).max(SystemTime::UNIX_EPOCH));
    }
    humantime::parse_rfc3339_weak(text).map_err(|_| SinceError(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_duration_counts_back_from_now_and_a_time_is_itself() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400);
        assert_eq!(parse_since("1h 30m", now), Ok(now - Duration::from_secs(5_400)));
        assert_eq!(
            parse_since("1970-01-01T00:01:00Z", now),
            Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(60))
        );
        assert_eq!(parse_since("99999999y", now), Ok(SystemTime::UNIX_EPOCH));
        assert!(
            parse_since("yesterday", now)
                .unwrap_err()
                .to_string()
                .starts_with("\"yesterday\" is no point in time")
        );
    }
}
