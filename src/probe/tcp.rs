//! The least that can be asked: whether anybody listens.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

/// Whether a connection is accepted within `patience`.
///
/// # Errors
/// What came instead.
pub async fn connect(address: SocketAddr, patience: Duration) -> Result<(), String> {
    match timeout(patience, open(address)).await {
        Ok(connected) => connected.map(drop),
        Err(_) => Err(format!("no connection within {}", humantime::format_duration(patience))),
    }
}

pub(super) async fn open(address: SocketAddr) -> Result<TcpStream, String> {
    let refused = |error| format!("nothing accepts connections on port {}: {error}", address.port());
    TcpStream::connect(address).await.map_err(refused)
}
