//! Instances: sockets on loopback that do as they are told.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::wire::Wire;

/// A listening instance. It stops when it is dropped.
#[derive(Debug)]
pub struct Backend {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Backend {
    /// Runs `serve` on each connection, with its number from 0.
    pub async fn new<F, S>(serve: S) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
        S: Fn(Wire, usize) -> F + Send + 'static,
    {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = socket.accept().await.unwrap();
                let number = count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(Wire::new(stream), number));
            }
        });
        Self { address, connections, task }
    }

    /// Answers each request with the head it got, then its body.
    pub async fn echo() -> Self {
        Self::new(|wire, _| echo(wire)).await
    }

    /// Answers each request with `name`.
    pub async fn named(name: &'static str) -> Self {
        Self::new(move |mut wire, _| async move {
            while wire.read().await.is_some() {
                wire.write(ok(name)).await;
            }
        })
        .await
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

pub async fn echo(mut wire: Wire) {
    while let Some(request) = wire.read().await {
        let body = request.head.clone() + &request.text();
        let length = body.len();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        let body = if request.head.starts_with("HEAD ") { "" } else { &body };
        wire.write(head + body).await;
    }
}
