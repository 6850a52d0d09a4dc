//! Where the gateway listens: at the address in the manifest, unless another platform of this user has
//! it. Then it gets a port of its own, which follows from its identity and is remembered, so that
//! checkouts of one manifest run side by side.
//!
//! A port that anybody else holds stays a conflict: who asks for it there would be led astray.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::addresses::gateway_ports;
use super::folder::{self, StateFolder};
use super::port_holder::{describe_port, port_holder};
use super::start_error::StartError;
use crate::gateway::{self, ListenOptions};
use crate::model::platform::Platform;

/// The socket of the public door.
pub fn bind(platform: &Platform, folder: &StateFolder) -> Result<TcpListener, StartError> {
    let wanted = platform.gateway.listen;
    if platform.checkout.is_some()
        && wanted.port() != 0
        && let Some(own) = remembered(folder, wanted)
        && let Ok(listener) = listen(own)
    {
        // The manifest's port is left to the main checkout, once there was one that had it.
        return Ok(listener);
    }
    match listen(wanted) {
        Err(error) if is_another_platforms(&error, wanted, folder) => elsewhere(platform, folder),
        bound => bound.map_err(conflict(wanted)),
    }
}

/// Where people are told to ask by TLS; nothing else depends on it, so another platform may have it.
pub fn bind_redirect(platform: &Platform, folder: &StateFolder) -> Result<Option<TcpListener>, StartError> {
    let Some(wanted) = platform.gateway.redirect_from else { return Ok(None) };
    match listen(wanted) {
        Err(error) if is_another_platforms(&error, wanted, folder) => {
            tracing::warn!(%wanted, "plain HTTP is not led to TLS: another platform listens there");
            Ok(None)
        }
        bound => bound.map(Some).map_err(conflict(wanted)),
    }
}

/// Whether a platform whose manifest says `wanted` may be found at this address.
#[must_use]
pub fn is_at(at: SocketAddr, wanted: SocketAddr, folder: &StateFolder) -> bool {
    at.ip() == wanted.ip()
        && ([0, at.port()].contains(&wanted.port()) || remembered(folder, wanted) == Some(at))
}

/// The address in the manifest, where a platform at this URL is not to be found there.
#[must_use]
pub fn left(platform: &Platform, url: &str) -> Option<SocketAddr> {
    let wanted = Some(platform.gateway.listen).filter(|wanted| wanted.port() != 0)?;
    let at: SocketAddr = url.split_once("://")?.1.parse().ok()?;
    (at.port() != wanted.port()).then_some(wanted)
}

/// A port of the platform's own, the same one every time unless that is taken.
fn elsewhere(platform: &Platform, folder: &StateFolder) -> Result<TcpListener, StartError> {
    let wanted = platform.gateway.listen;
    let preferred = gateway_ports(&platform.id).map(|port| SocketAddr::new(wanted.ip(), port));
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for own in remembered(folder, wanted).into_iter().chain(preferred) {
        match listen(own) {
            Ok(listener) => {
                tracing::info!(%wanted, %own, "another platform listens there; this one does so here");
                folder.remember_port(own.port());
                return Ok(listener);
            }
            Err(error) => last = error,
        }
    }
    Err(conflict(wanted)(last))
}

fn remembered(folder: &StateFolder, wanted: SocketAddr) -> Option<SocketAddr> {
    folder.own_port().map(|port| SocketAddr::new(wanted.ip(), port))
}

fn is_another_platforms(error: &io::Error, address: SocketAddr, folder: &StateFolder) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
        && port_holder(address.port()).is_some_and(|holder| folder::is_held_by(folder, holder.pid))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    gateway::listen(address, ListenOptions::default())
}

fn conflict(listen: SocketAddr) -> impl FnOnce(io::Error) -> StartError {
    move |source| StartError::Gateway { listen, source, holder: describe_port(listen.port()) }
}

#[cfg(test)]
mod tests;
