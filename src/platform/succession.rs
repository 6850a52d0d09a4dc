//! One platform process takes over from another: what it gets, and in which order it becomes its own.
//!
//! 1. The old one holds its engine still and passes everything on: the sockets, the lock (which belongs
//!    to the open file, so nobody else can slip in), and a [`Note`].
//! 2. The new one looks at what runs and makes its routes, as ready as they were.
//! 3. It says so. From then on it accepts; until then every failure leaves the old one as it was.
//! 4. It goes on with what was wished for, and waits with the end of any instance until the old one,
//!    too, has finished its requests there.
//!
//! `departure` is the old one's side.

use tokio::net::TcpListener;

use super::addresses::Entrance;
use super::admin_door::AdminDoor;
use super::doors::{Doors, Public};
use super::folder::{Lock, StateFolder};
use super::mooring;
use super::note::{ADMIN, LOCK, Note, PUBLIC, REDIRECT, entrance_named};
use super::start_error::StartError;
use super::traffic::Traffic;
use super::wiring::Wiring;
use crate::engine::Wishes;
use crate::engine::ports::Traffic as _;
use crate::handover::{self, Estate, Post};
use crate::model::catalog::EndpointState;
use crate::model::platform::Platform;
use crate::runtime::Runtime;

/// What a predecessor left, not accepted yet. Dropped, it stays with that.
#[derive(Debug)]
pub struct Inheritance {
    estate: Estate,
    note: Note,
    inside: Vec<(Entrance, TcpListener)>,
}

/// An [`Estate`] that is known to be a platform's.
pub struct Legacy {
    estate: Estate,
    pub note: Note,
}

impl Legacy {
    /// Asks the process that runs the platform for it; `None` where there is none to be asked.
    ///
    /// # Errors
    /// When it does not give it.
    pub async fn ask(folder: &StateFolder) -> Result<Option<Self>, StartError> {
        let Some(estate) = handover::take(&folder.post()).await? else { return Ok(None) };
        let note = estate.note()?;
        Ok(Some(Self { estate, note }))
    }

    /// The process that it comes from.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.estate.pid
    }

    /// That process' version of msctl.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.estate.program
    }

    /// # Errors
    /// When something is missing, or the manifest wants what only a fresh start can give.
    pub fn doors(self, platform: &Platform, folder: &StateFolder) -> Result<Doors, StartError> {
        let Self { mut estate, note } = self;
        let gateway = estate.tcp_listener(PUBLIC)?;
        let is_at = |listener: &TcpListener, wanted| {
            listener.local_addr().is_ok_and(|at| mooring::is_at(at, wanted, folder))
        };
        if !is_at(&gateway, platform.gateway.listen) {
            return Err(StartError::Moved);
        }
        let redirect = match (estate.tcp_listener(REDIRECT), platform.gateway.redirect_from) {
            (Ok(redirect), Some(from)) if is_at(&redirect, from) => Some(redirect),
            // Another one than before, or none: nothing but this depends on it.
            _ => mooring::bind_redirect(platform, folder)?,
        };
        let public = Public { gateway, redirect };
        let admin = estate.unix_listener(ADMIN)?;
        let lock = Lock::inherit(estate.descriptor(LOCK)?);
        let post = Some(estate.post()?);
        let names: Vec<String> = estate.names().map(str::to_owned).collect();
        let mut inside = Vec::new();
        for (name, entrance) in names.iter().filter_map(|name| Some((name, entrance_named(name)?))) {
            inside.push((entrance, estate.tcp_listener(name)?));
        }
        Ok(Doors { public, admin, lock, post, inheritance: Some(Inheritance { estate, note, inside }) })
    }
}

impl Inheritance {
    /// Makes everything this process's own; gives what it is to go on with.
    ///
    /// # Errors
    /// When that could not be done; then the predecessor goes on.
    pub(super) async fn accept(
        self,
        runtime: &dyn Runtime,
        traffic: &Traffic,
        wiring: &Wiring,
    ) -> Result<Option<Wishes>, StartError> {
        let observed = runtime.observe().await?;
        for endpoint in self.note.endpoints() {
            let still = observed.instances.iter().any(|seen| {
                seen.name == endpoint.instance
                    && seen.state.is_running()
                    && seen.address == Some(endpoint.address)
            });
            if still {
                traffic.introduce(&endpoint.instance, endpoint.address);
                match endpoint.state {
                    EndpointState::Starting => {}
                    EndpointState::Ready => traffic.admit(&endpoint.instance),
                    EndpointState::Draining => traffic.withdraw(&endpoint.instance),
                }
            }
        }
        let predecessor = self.estate.accept().await?;
        traffic.comes_after(predecessor);
        for (entrance, socket) in self.inside {
            wiring.adopt(entrance, socket);
        }
        Ok(self.note.wishes())
    }
}

/// Shows that the sockets and the lock are this process's. Only people ask that.
pub(super) fn claim(admin: &AdminDoor, post: Option<&Post>, lock: &Lock) {
    let sockets = handover::claim(admin).and_then(|()| post.map_or(Ok(()), handover::claim));
    if let Err(error) = sockets.and_then(|()| lock.sign()) {
        tracing::warn!(%error, "an earlier process is still named as the platform's");
    }
}
