//! Waiting for something to become true, never for time to pass.

use std::time::{Duration, Instant};

/// Asks until there is an answer, and panics with what was awaited when the deadline passes.
pub async fn eventually<T>(deadline: Duration, what: &str, check: impl AsyncFn() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = check().await {
            return answer;
        }
        assert!(start.elapsed() < deadline, "not within {deadline:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
