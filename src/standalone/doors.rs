//! The open listeners. One whose address stays is not touched by a new configuration.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::error::StandaloneError;
use crate::gateway::{self, Door, Gateway, Listener, Stopped};

#[derive(Default)]
pub struct Doors {
    /// By the address that was asked for, which with port 0 is not where it listens.
    open: BTreeMap<SocketAddr, Open>,
    /// Closed, but not yet done with what they had begun.
    closing: Vec<JoinHandle<Stopped>>,
}

struct Open {
    bound: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<Stopped>,
}

/// Sockets that are bound, but not yet served.
pub struct Bound(Vec<(SocketAddr, TcpListener)>);

impl Doors {
    /// Binds those of `addresses` that are not open yet: all, or none.
    ///
    /// # Errors
    /// When one of them cannot be bound.
    pub async fn bind(&self, addresses: &[SocketAddr]) -> Result<Bound, StandaloneError> {
        let mut bound = Vec::new();
        for &address in addresses.iter().filter(|address| !self.open.contains_key(address)) {
            let socket = TcpListener::bind(address).await;
            let listen = |source| StandaloneError::Listen { address, source };
            bound.push((address, socket.map_err(listen)?));
        }
        Ok(Bound(bound))
    }

    /// Serves what was bound.
    pub fn open(&mut self, bound: Bound, door: &Door, gateway: &Gateway) {
        for (address, socket) in bound.0 {
            let stop = CancellationToken::new();
            let at = socket.local_addr().unwrap_or(address);
            let listeners = vec![Listener::in_clear(socket, door.clone())];
            let serving = gateway::run(listeners, gateway.clone(), stop.clone().cancelled_owned());
            self.open.insert(address, Open { bound: at, stop, serving: tokio::spawn(serving) });
        }
    }

    /// Closes the doors at all other addresses; their open requests go on.
    pub fn keep_only(&mut self, addresses: &[SocketAddr]) {
        self.closing.retain(|closing| !closing.is_finished());
        let gone: Vec<_> = self.open.keys().filter(|address| !addresses.contains(address)).copied().collect();
        for open in gone.iter().filter_map(|address| self.open.remove(address)) {
            open.stop.cancel();
            self.closing.push(open.serving);
        }
    }

    /// Where clients can come in.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.open.values().map(|open| open.bound).collect()
    }

    /// Closes all and waits for what is open, up to the gateway's own deadline. Gives how much was
    /// cut.
    pub async fn close(&mut self) -> usize {
        self.keep_only(&[]);
        let mut cut_off = 0;
        for closing in std::mem::take(&mut self.closing) {
            cut_off += closing.await.map_or(0, |stopped| stopped.cut_off);
        }
        cut_off
    }
}
