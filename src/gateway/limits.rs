//! Every size and every wait that bounds the data plane, in one place.
//!
//! The defaults suit a gateway that faces clients nobody has vetted. Tests shorten the waits.

use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The longest request head without its first line, in bytes.
    pub header_block: usize,
    /// The longest path with its query, in bytes.
    pub uri: usize,
    /// From the first byte of a request's head to its last.
    pub header_read: Duration,
    /// How long a client's connection may rest between two requests.
    pub client_idle: Duration,
    /// The longest pause of a client within a request body.
    pub upload_idle: Duration,
    /// How long an upstream may take to accept a connection.
    pub connect: Duration,
    /// How many connections of clients may be open at once.
    pub connections: usize,
    /// How many of them by one client: an IPv4 address, or a /64 of IPv6. `None`: as many as it likes.
    pub connections_per_client: Option<usize>,
    /// After so many requests a connection ends.
    pub requests_per_connection: u64,
    /// How long, and how much, is still read from a client that was answered before it had sent all.
    pub linger: Duration,
    pub linger_bytes: usize,
    /// From a connection's first moment to the end of its TLS handshake.
    pub tls_handshake: Duration,
    /// How often it is looked for clients that do not take what they have asked for.
    pub sweep: Duration,
    /// How many TLS handshakes may be under way at once.
    pub handshakes: usize,
    /// How long an unused upstream connection is kept: less than the 5 s of node and uvicorn.
    pub pool_idle: Duration,
    /// How many unused connections are kept for each instance, by all workers together.
    pub pool_size: usize,
    /// How long a request whose instance was just withdrawn waits for the table without it.
    pub table_wait: Duration,
    /// How long a request that did not reach an instance on trial waits for whoever is called back in its
    /// place.
    pub recall_wait: Duration,
    /// How long requests may finish once the gateway stops.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_block: 32 * 1024,
            uri: 8 * 1024,
            header_read: Duration::from_secs(10),
            client_idle: Duration::from_secs(75),
            upload_idle: Duration::from_secs(30),
            connect: Duration::from_secs(1),
            connections: 10_000,
            connections_per_client: None,
            requests_per_connection: 10_000,
            linger: Duration::from_secs(5),
            linger_bytes: 16 * 1024 * 1024,
            sweep: Duration::from_secs(5),
            tls_handshake: Duration::from_secs(10),
            handshakes: 256,
            pool_idle: Duration::from_secs(4),
            pool_size: 64,
            table_wait: Duration::from_millis(500),
            recall_wait: Duration::from_secs(5),
            shutdown: Duration::from_secs(30),
        }
    }
}
