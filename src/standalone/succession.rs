//! One gateway takes over from another: its listeners, and nothing else. What endpoints are worth is
//! found out before the first connection is accepted, as at every start.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::BorrowedFd;
use std::path::Path;

use super::doors::Doors;
use super::error::StandaloneError;
use super::running::{Ended, Running};
use crate::gateway::Farewell;
use crate::handover::{self, Estate, Newcomer, OfferError, Post, Predecessor, Successor, TakeError};

const PUBLIC: &str = "public";
const ADMIN: &str = "admin";

/// What a gateway that can be replaced has beside its doors.
#[derive(Default)]
pub struct Succession {
    /// Until this gateway is ready to accept.
    estate: Option<Estate>,
    /// Where the next one may ask.
    post: Option<Post>,
    predecessor: Option<Predecessor>,
}

impl Succession {
    /// Asks whoever serves at `path` for its sockets: those for clients, and those for the admin.
    ///
    /// # Errors
    /// When it does not give them.
    pub(super) async fn begin(path: &Path) -> Result<(Self, Doors, Doors), StandaloneError> {
        let Some(mut estate) = handover::take(path).await? else {
            return Ok((Self::default(), Doors::default(), Doors::default()));
        };
        let doors = Doors::inheriting(listeners(&mut estate, PUBLIC)?);
        let admin = Doors::inheriting(listeners(&mut estate, ADMIN)?);
        let post = Some(estate.post()?);
        Ok((Self { estate: Some(estate), post, predecessor: None }, doors, admin))
    }

    /// Everything is ready to accept.
    ///
    /// # Errors
    /// When the other one has changed its mind, and goes on.
    pub(super) async fn accept(&mut self) -> Result<(), StandaloneError> {
        if let Some(estate) = self.estate.take() {
            self.predecessor = Some(estate.accept().await?);
        }
        Ok(())
    }

    /// From now on the next one may ask at `path`.
    ///
    /// # Errors
    /// When the socket cannot be opened.
    pub(super) fn welcome(&mut self, path: &Path) -> Result<(), StandaloneError> {
        let failed = |source| StandaloneError::Post { path: path.to_owned(), source };
        if let Some(post) = &self.post {
            return handover::claim(post).map_err(failed);
        }
        self.post = Some(Post::open(path).map_err(failed)?);
        Ok(())
    }
}

fn named<'a>(kind: &str, doors: &'a Doors) -> Vec<(String, BorrowedFd<'a>)> {
    doors.sockets().map(|(address, socket)| (format!("{kind} {address}"), socket)).collect()
}

/// The listeners of one kind, by the address that was asked for.
fn listeners(estate: &mut Estate, kind: &str) -> Result<BTreeMap<SocketAddr, TcpListener>, TakeError> {
    let names: Vec<String> = estate.names().map(str::to_owned).collect();
    let mut listeners = BTreeMap::new();
    for name in names {
        let address = name.strip_prefix(kind).and_then(|rest| rest.trim_start().parse().ok());
        if let Some(address) = address {
            listeners.insert(address, estate.tcp_listener(&name)?.into_std()?);
        }
    }
    Ok(listeners)
}

impl Running {
    /// The process that this one has taken over from.
    #[must_use]
    pub fn predecessor(&self) -> Option<i32> {
        self.succession.predecessor.as_ref().map(|predecessor| predecessor.pid)
    }

    /// Completes when another process wants to take over; never, where none may.
    pub async fn newcomer(&self) -> Newcomer {
        match &self.succession.post {
            Some(post) => post.newcomer().await,
            None => std::future::pending().await,
        }
    }

    /// Offers everything to `newcomer`, and serves meanwhile.
    ///
    /// # Errors
    /// When it does not take over.
    pub async fn give_way(&self, newcomer: Newcomer) -> Result<Successor, OfferError> {
        let sockets = [named(PUBLIC, &self.doors), named(ADMIN, &self.admin)].concat();
        let post = self.succession.post.as_ref().expect("a newcomer came by it");
        newcomer.offer(&(), &sockets, post).await
    }

    /// Finishes what clients have begun here, and what those before have not finished yet.
    pub async fn depart(&mut self, mut successor: Successor) -> Ended {
        self.succession.post = None;
        let Self { doors, admin, succession, logs, .. } = self;
        let done = async {
            let (cut_off, _) =
                tokio::join!(doors.close(Farewell::Succeeded), admin.close(Farewell::Succeeded));
            logs.flush().await;
            if let Some(predecessor) = &succession.predecessor {
                predecessor.gone().await;
            }
            Ended { cut_off }
        };
        tokio::select! {
            ended = done => ended,
            () = successor.over() => Ended { cut_off: 0 },
        }
    }
}
