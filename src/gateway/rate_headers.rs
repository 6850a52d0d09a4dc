//! How a client is told where it stands with a rate limit.

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

use super::policy::limiter::{Answer, whole_seconds};

const RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RATELIMIT_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// `RateLimit-Limit`, `-Remaining` and `-Reset` (in seconds), which clients know from drafts of the
/// HTTP working group.
pub(super) fn add(headers: &mut HeaderMap, answer: &Answer) {
    headers.insert(RATELIMIT_LIMIT, HeaderValue::from(answer.limit));
    headers.insert(RATELIMIT_REMAINING, HeaderValue::from(answer.remaining));
    headers.insert(RATELIMIT_RESET, HeaderValue::from(whole_seconds(answer.reset)));
}
