//! Waits until a new instance can take requests.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::model::platform::Health;
use crate::model::traffic::UpstreamProtocol;
use crate::probe;

/// A pause between probes is this part of the time waited so far: that a service is ready is noticed late
/// by no more than that.
const PART: u32 = 16;
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
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
    let begun = Instant::now();
    let deadline = begun + health.start_period;
    loop {
        let last = match probe(address, health).await {
            Ok(()) => return Ok(()),
            Err(last) => last,
        };
        let now = Instant::now();
        if now >= deadline {
            return Err(NotReady { waited: health.start_period, last });
        }
        let pause = ((now - begun) / PART).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        // The last probe is at the deadline itself: a service has all of its time.
        sleep_until(deadline.min(now + pause)).await;
    }
}

/// One probe: `GET` of the health path.
async fn probe(address: SocketAddr, health: &Health) -> Result<(), String> {
    probe::get(address, UpstreamProtocol::Http1, &health.path, health.timeout).await
}
