//! The sockets that a platform process begins with: bound by itself, or passed on to it.

use std::net::SocketAddr;

use tokio::net::{TcpListener, UnixListener};

use super::certificates::Certificates;
use super::folder::{Lock, StateFolder};
use super::mooring;
use super::note::{PUBLIC, REDIRECT};
use super::sockets::Sockets;
use super::start_error::StartError;
use super::succession::Inheritance;
use crate::admin::server;
use crate::gateway::{Door, Listener};
use crate::handover::Post;
use crate::model::platform::Platform;

pub struct Doors {
    pub(super) public: Public,
    pub(super) admin: UnixListener,
    pub(super) lock: Lock,
    /// Where another process may ask for all of this.
    pub(super) post: Option<Post>,
    /// What has to be done before the sockets are really this process's own.
    pub(super) inheritance: Option<Inheritance>,
}

/// Where clients come in.
#[derive(Debug)]
pub(super) struct Public {
    pub gateway: TcpListener,
    /// Where those who ask in clear are told to ask there.
    pub redirect: Option<TcpListener>,
}

impl Doors {
    /// # Errors
    /// When one of them cannot be opened.
    pub fn bind(platform: &Platform, folder: &StateFolder, lock: Lock) -> Result<Self, StartError> {
        let gateway = mooring::bind(platform, folder)?;
        let public = Public { gateway, redirect: mooring::bind_redirect(platform, folder)? };
        let socket = folder.socket();
        let admin = server::bind(&socket).map_err(|source| StartError::Admin { path: socket, source })?;
        Ok(Self { public, admin, lock, post: None, inheritance: None })
    }

    /// With a post, so that another process may take over from this one.
    #[must_use]
    pub fn with_post(self, folder: &StateFolder) -> Self {
        // Without it everything works but that.
        let post = Post::open(&folder.post()).inspect_err(|error| tracing::warn!(%error, "no post"));
        Self { post: post.ok(), ..self }
    }
}

impl Public {
    fn at(&self) -> SocketAddr {
        self.gateway.local_addr().expect("a bound socket has an address")
    }

    /// The URL to tell people.
    pub fn url(&self, certificates: Option<&Certificates>) -> String {
        let scheme = if certificates.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.at())
    }

    pub fn keep_in(&self, sockets: &Sockets) {
        sockets.keep(PUBLIC, &self.gateway);
        self.redirect.iter().for_each(|redirect| sockets.keep(REDIRECT, redirect));
    }

    pub fn listeners(self, certificates: Option<&Certificates>) -> Vec<Listener> {
        let door = Door::Redirect { port: self.at().port() };
        let redirect = self.redirect.map(|socket| Listener::in_clear(socket, door));
        let tls = certificates.map(Certificates::tls);
        let public = Listener { socket: self.gateway, door: Door::Public, tls };
        std::iter::once(public).chain(redirect).collect()
    }
}
