//! Asks an instance whether it can take requests: our own HTTP probe, not the engine's health
//! status, which lags by its whole interval.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use crate::model::platform::Health;

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

/// One probe: `GET` of the health path, 2xx or 3xx is ready.
///
/// # Errors
/// What came instead.
pub async fn probe(address: SocketAddr, health: &Health) -> Result<(), String> {
    match timeout(health.timeout, status_of(address, &health.path)).await {
        Ok(Ok(status)) if status.is_success() || status.is_redirection() => Ok(()),
        Ok(Ok(status)) => Err(format!("GET {} answers {status}", health.path)),
        Ok(Err(reason)) => Err(reason),
        Err(_) => Err(format!(
            "GET {} gives no answer within {}",
            health.path,
            humantime::format_duration(health.timeout)
        )),
    }
}

async fn status_of(address: SocketAddr, path: &str) -> Result<http::StatusCode, String> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| format!("nothing accepts connections on port {}: {error}", address.port()))?;
    let broken = |error: hyper::Error| format!("GET {path} breaks off: {error}");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let request = http::Request::get(path)
        .header(http::header::HOST, address.to_string())
        .header(http::header::USER_AGENT, "msctl-probe")
        .body(Empty::<Bytes>::new())
        .map_err(|error| format!("{path:?} is no path: {error}"))?;
    let exchange = async { sender.send_request(request).await.map(|response| response.status()) };
    tokio::select! {
        // Both arms may be dropped at any point: the connection is ours alone and ends with them.
        answer = exchange => answer.map_err(broken),
        Err(error) = connection => Err(broken(error)),
    }
}
