//! The open listeners. One that stays as it is does not notice a new configuration; one that is to be
//! served in another way keeps its socket, with everybody who waits there.

use std::collections::BTreeMap;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::sockopt::socket_reuseport;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::error::StandaloneError;
use crate::certificates::Credential;
use crate::gateway::{
    self, AccessLog, Door, Farewell, Gateway, Limits, ListenOptions, Listener, Stopped, Tls,
};
use crate::model::platform::{GatewaySettings, PortSharing};

#[derive(Default)]
pub struct Doors {
    /// By the address that was asked for, which with port 0 is not where it listens.
    open: BTreeMap<SocketAddr, Open>,
    /// Closed, but not yet done with what they had begun.
    closing: Vec<JoinHandle<Stopped>>,
    /// Passed on by another process, until it is known which of them are wanted.
    inherited: BTreeMap<SocketAddr, net::TcpListener>,
}

/// A listener as it should be.
pub struct Wanted {
    pub settings: GatewaySettings,
    /// `None`: in clear.
    pub credential: Option<Credential>,
    /// Where its requests are noted.
    pub log: Option<AccessLog>,
}

struct Open {
    settings: GatewaySettings,
    sockets: Sockets,
    tls: Option<Arc<Tls>>,
    stop: oneshot::Sender<Farewell>,
    serving: JoinHandle<Stopped>,
}

/// Other handles to what is served.
struct Sockets {
    main: net::TcpListener,
    /// Where clients are sent from.
    redirect: Option<net::TcpListener>,
}

/// What the next configuration takes, none of it served yet.
pub struct Bound(Vec<Next>);

enum Next {
    Stays(Wanted),
    Opens { wanted: Wanted, sockets: Sockets, served: Vec<Listener>, tls: Option<Arc<Tls>> },
}

impl Doors {
    /// With sockets that another process has bound, by the address that it was asked for.
    #[must_use]
    pub fn inheriting(inherited: BTreeMap<SocketAddr, net::TcpListener>) -> Self {
        Self { inherited, ..Self::default() }
    }

    /// The open sockets, by the address that was asked for.
    pub fn sockets(&self) -> impl Iterator<Item = (SocketAddr, BorrowedFd<'_>)> {
        self.open.values().flat_map(|open| {
            let main = (open.settings.listen, open.sockets.main.as_fd());
            let redirect = open.settings.redirect_from.zip(open.sockets.redirect.as_ref().map(AsFd::as_fd));
            std::iter::once(main).chain(redirect)
        })
    }

    /// Binds what is not open yet: all, or none.
    ///
    /// # Errors
    /// When one of them cannot be bound.
    pub fn bind(&self, wanted: Vec<Wanted>, door: &Door) -> Result<Bound, StandaloneError> {
        wanted.into_iter().map(|wanted| self.next(wanted, door)).collect::<Result<_, _>>().map(Bound)
    }

    fn next(&self, wanted: Wanted, door: &Door) -> Result<Next, StandaloneError> {
        let settings = &wanted.settings;
        if self.open.get(&settings.listen).is_some_and(|open| open.settings == *settings) {
            return Ok(Next::Stays(wanted));
        }
        let main = self.socket(settings.listen, settings.sharing)?;
        let redirect = settings.redirect_from.map(|from| self.socket(from, settings.sharing)).transpose()?;
        let tls = wanted.credential.as_ref().map(secure).transpose()?;
        let served = |socket: &net::TcpListener| {
            let address = settings.listen;
            let served = socket.try_clone().and_then(TcpListener::from_std);
            served.map_err(|source| StandaloneError::Listen { address, source })
        };
        let mut listeners = vec![Listener { socket: served(&main)?, door: door.clone(), tls: tls.clone() }];
        if let Some(redirect) = &redirect {
            let port = main.local_addr().map_or(settings.listen.port(), |address| address.port());
            listeners.push(Listener::in_clear(served(redirect)?, Door::Redirect { port }));
        }
        Ok(Next::Opens { sockets: Sockets { main, redirect }, served: listeners, tls, wanted })
    }

    /// Serves what was bound, and lets go of everything else; its open requests go on.
    pub fn follow(&mut self, bound: Bound, gateway: &Gateway) {
        let mut before = std::mem::take(&mut self.open);
        for next in bound.0 {
            let ends = next.wanted().credential.as_ref().map(|credential| credential.not_after);
            let (address, open) = match next {
                Next::Stays(wanted) => {
                    let address = wanted.settings.listen;
                    let Some(open) = before.remove(&address) else { continue };
                    open.present(wanted.credential);
                    (address, open)
                }
                Next::Opens { wanted, sockets, served, tls } => {
                    let gateway = gateway
                        .clone()
                        .with_trusted_proxies(&wanted.settings.trusted_proxies)
                        .with_hsts(wanted.settings.hsts);
                    let gateway = match wanted.log {
                        Some(log) => gateway.with_access_log(log),
                        None => gateway,
                    };
                    let settings = wanted.settings;
                    (settings.listen, Open::new(settings, sockets, served, tls, gateway))
                }
            };
            gateway.metrics().certificate(open.at(), ends);
            self.open.insert(address, open);
        }
        for (address, open) in before {
            // Where the same socket is served in another way, clients are to come back.
            let is_served = self.open.contains_key(&address);
            if !is_served {
                gateway.metrics().certificate(open.at(), None);
            }
            self.close_one(open, if is_served { Farewell::Succeeded } else { Farewell::Ends });
        }
        self.inherited.clear();
    }

    /// Where clients can come in, as URLs.
    pub fn urls(&self) -> Vec<String> {
        let url = |open: &Open| {
            let scheme = if open.tls.is_some() { "https" } else { "http" };
            format!("{scheme}://{}", open.at())
        };
        self.open.values().map(url).collect()
    }

    /// Closes all and waits for what is open, up to the gateway's own deadline. Gives how much was
    /// cut.
    pub async fn close(&mut self, farewell: Farewell) -> usize {
        for open in std::mem::take(&mut self.open).into_values() {
            self.close_one(open, farewell);
        }
        let mut cut_off = 0;
        for closing in std::mem::take(&mut self.closing) {
            cut_off += closing.await.map_or(0, |stopped| stopped.cut_off);
        }
        cut_off
    }

    fn close_one(&mut self, open: Open, farewell: Farewell) {
        // One that has ended already needs no telling.
        let _ = open.stop.send(farewell);
        self.closing.retain(|closing| !closing.is_finished());
        self.closing.push(open.serving);
    }

    /// Another handle to what is open there, or a new socket.
    fn socket(&self, address: SocketAddr, sharing: PortSharing) -> Result<net::TcpListener, StandaloneError> {
        let open = self.open.values().find_map(|open| open.socket_at(address));
        let open = open.or_else(|| self.inherited.get(&address));
        let socket = match open {
            // The kernel asks for it when a socket is bound, and not again.
            Some(open) if is_shared(open) != Ok(sharing) => return Err(StandaloneError::Sharing { address }),
            Some(open) => open.try_clone(),
            None => {
                let options =
                    ListenOptions { reuse_port: sharing == PortSharing::Shared, ..ListenOptions::default() };
                gateway::listen(address, options).and_then(TcpListener::into_std)
            }
        };
        socket.map_err(|source: io::Error| StandaloneError::Listen { address, source })
    }
}

impl Next {
    fn wanted(&self) -> &Wanted {
        match self {
            Self::Stays(wanted) | Self::Opens { wanted, .. } => wanted,
        }
    }
}

impl Open {
    /// Where it listens, whatever was asked for.
    fn at(&self) -> SocketAddr {
        self.sockets.main.local_addr().unwrap_or(self.settings.listen)
    }

    fn new(
        settings: GatewaySettings,
        sockets: Sockets,
        served: Vec<Listener>,
        tls: Option<Arc<Tls>>,
        gateway: Gateway,
    ) -> Self {
        let (stop, told) = oneshot::channel::<Farewell>();
        let stopped = async { told.await.unwrap_or_default() };
        let serving = tokio::spawn(gateway::run(served, gateway, stopped));
        Self { settings, sockets, tls, stop, serving }
    }

    /// From the next handshake on.
    fn present(&self, credential: Option<Credential>) {
        if let (Some(tls), Some(credential)) = (&self.tls, credential) {
            tls.present(vec![credential.key]);
        }
    }

    fn socket_at(&self, address: SocketAddr) -> Option<&net::TcpListener> {
        if self.settings.listen == address {
            return Some(&self.sockets.main);
        }
        self.sockets.redirect.as_ref().filter(|_| self.settings.redirect_from == Some(address))
    }
}

fn is_shared(socket: &net::TcpListener) -> Result<PortSharing, Errno> {
    socket_reuseport(socket).map(|is| if is { PortSharing::Shared } else { PortSharing::Alone })
}

fn secure(credential: &Credential) -> Result<Arc<Tls>, StandaloneError> {
    let tls = Tls::new(vec![Arc::clone(&credential.key)], &Limits::default());
    tls.map(Arc::new).map_err(|error| StandaloneError::Tls(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_open_socket_is_not_taken_for_one_that_is_shared() {
        let share = |reuse_port| {
            let options = ListenOptions { reuse_port, ..ListenOptions::default() };
            gateway::listen(([127, 0, 0, 1], 0).into(), options).and_then(TcpListener::into_std).unwrap()
        };
        for is_shared in [false, true] {
            let socket = share(is_shared);
            let address = socket.local_addr().unwrap();
            let doors = Doors::inheriting(BTreeMap::from([(address, socket)]));
            for (sharing, fits) in [(PortSharing::Alone, !is_shared), (PortSharing::Shared, is_shared)] {
                let settings = GatewaySettings { sharing, ..GatewaySettings::at(address) };
                let bound = doors.bind(vec![Wanted { settings, credential: None, log: None }], &Door::Public);
                assert_eq!(bound.is_ok(), fits);
                let is_said = matches!(bound, Err(StandaloneError::Sharing { address: at }) if at == address);
                assert_eq!(is_said, !fits);
            }
        }
    }
}
