//! How a gateway takes leave of clients whom another process serves from now on.
//!
//! An idle HTTP/1 connection cannot just be closed: its client may be writing the next request at this
//! very moment, and would get no answer to it. So for a while the connections stay, and each answer
//! carries `Connection: close`; the client's next connection reaches the other process. Only what
//! has rested all the while is closed unasked, as it would have been for resting too long. HTTP/2 needs
//! none of that: GOAWAY says which requests were still seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::CONNECTION;
use http::{HeaderValue, Response, StatusCode, Version};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a resting client may still send a request on its connection.
const LINGER: Duration = Duration::from_secs(5);

/// Why a gateway stops accepting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Farewell {
    /// Nobody serves after it.
    #[default]
    Ends,
    /// Another process accepts at the same sockets already.
    Succeeded,
}

impl From<()> for Farewell {
    fn from((): ()) -> Self {
        Self::Ends
    }
}

/// Whether answers say goodbye.
#[derive(Debug, Clone, Default)]
pub(super) struct Parting {
    // Looked at for every answer, which a token's own state is too dear for.
    begun: Arc<AtomicBool>,
    heard: CancellationToken,
}

impl Parting {
    /// Says goodbye to whoever asks, until `tasks` are done or resting clients have had their time.
    pub(super) async fn linger(&self, farewell: Farewell, limit: Duration, tasks: &TaskTracker) {
        if farewell == Farewell::Ends {
            return;
        }
        self.begun.store(true, Ordering::Release);
        self.heard.cancel();
        tokio::select! {
            () = sleep(LINGER.min(limit / 2)) => {}
            () = tasks.wait() => {}
        }
    }

    pub(super) fn mark<B>(&self, version: Version, response: &mut Response<B>) {
        let is_tunnel = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if self.begun.load(Ordering::Acquire) && version <= Version::HTTP_11 && !is_tunnel {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }

    /// Completes with the beginning of the farewell.
    pub(super) async fn heard(&self) {
        self.heard.cancelled().await;
    }
}
