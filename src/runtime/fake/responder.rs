//! The port of a fake instance: just enough HTTP for probes and gateways.

use std::net::SocketAddr;
use std::sync::Weak;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::model::name::ServiceName;

use super::world::World;

/// The longest request head that is read.
const MAX_HEAD: usize = 16 * 1024;

/// An open port; dropping it closes it.
pub struct Responder {
    task: AbortHandle,
    pub address: SocketAddr,
}

/// What answers depend on.
#[derive(Clone)]
pub struct Persona {
    pub service: ServiceName,
    pub environment: Vec<(String, String)>,
    pub world: Weak<World>,
}

impl Responder {
    /// Opens a free loopback port; `persona` is told which.
    pub fn open(persona: impl FnOnce(u16) -> Persona) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        let task = tokio::spawn(serve(listener, persona(address.port()))).abort_handle();
        Ok(Self { task, address })
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, persona: Persona) {
    // Connections end with the port: the set is dropped, and with it every task, when this is.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(answer(stream, persona.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// Answers one request and closes.
async fn answer(mut stream: TcpStream, persona: Persona) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < MAX_HEAD {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split(' ').nth(1).unwrap_or("/");
    let (status, body) = persona.route(target);
    let length = body.len();
    let reply =
        format!("HTTP/1.1 {status} Fake\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    stream.write_all(reply.as_bytes()).await?;
    stream.shutdown().await
}

impl Persona {
    fn route(&self, target: &str) -> (u16, String) {
        if let Some(name) = target.strip_prefix("/env/") {
            let found = self.environment.iter().find(|(key, _)| key == name);
            return found.map_or((404, String::new()), |(_, value)| (200, value.clone()));
        }
        match target {
            "/health/ready" => (self.health(), "health\n".to_owned()),
            _ => (200, format!("ok {}\n", self.service)),
        }
    }

    fn health(&self) -> u16 {
        let world = self.world.upgrade();
        world.and_then(|world| world.lock().health.get(&self.service).copied()).unwrap_or(200)
    }
}
