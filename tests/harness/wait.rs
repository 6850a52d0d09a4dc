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

/// The same for plain code, which waits for processes.
#[expect(clippy::disallowed_methods, reason = "nothing tells of another process's output")]
#[track_caller]
pub fn until<T>(deadline: Duration, what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = check() {
            return answer;
        }
        assert!(start.elapsed() < deadline, "not within {deadline:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
