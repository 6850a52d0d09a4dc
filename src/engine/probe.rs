//! Waits until a new instance can take requests.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::model::platform::Health;
use crate::model::traffic::UpstreamProtocol;
use crate::probe;

/// The first pause between probes; each next one is half as long again, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The deadline passed; holds what the last probe met with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not ready within {}: {last}", humantime::format_duration(*waited))]
pub struct NotReady {
    pub waited: Duration,
    pub last: String,
}

/// Probes until the instance is ready or `health.start_period` has passed.
///
/// # Errors
/// [`NotReady`] with the outcome of the last probe.
pub async fn await_ready(address: SocketAddr, health: &Health) -> Result<(), NotReady> {
    let deadline = Instant::now() + health.start_period;
    let mut pause = FIRST_PAUSE;
    loop {
        let last = match probe(address, health).await {
            Ok(()) => return Ok(()),
            Err(last) => last,
        };
        let now = Instant::now();
        if now >= deadline {
            return Err(NotReady { waited: health.start_period, last });
        }
        // The last probe is at the deadline itself: a service has all of its time.
        sleep_until(deadline.min(now + pause)).await;
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}

/// One probe: `GET` of the health path.
async fn probe(address: SocketAddr, health: &Health) -> Result<(), String> {
    probe::get(address, UpstreamProtocol::Http1, &health.path, health.timeout).await
}
