//! The doors of the gateway, what stands behind each, and who gets through.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::TcpListener;

use super::body::Body;
use super::path::matched_segments;
use super::tls::Tls;
use crate::model::name::ServiceName;
use crate::model::route::RoutePrefix;

/// A bound socket, and what stands behind it.
#[derive(Debug)]
pub struct Listener {
    pub socket: TcpListener,
    pub door: Door,
    /// `None`: in clear.
    pub tls: Option<Arc<Tls>>,
}

impl Listener {
    #[must_use]
    pub fn in_clear(socket: TcpListener, door: Door) -> Self {
        Self { socket, door, tls: None }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Door {
    /// For anybody: embedded handlers, and services by host name or by path, under the access
    /// rules of their routes.
    Public,
    /// For the instances of this platform: any path of a service that they declared in `calls`,
    /// by host name, and the platform's own handlers at `msctl.<platform>.internal`.
    Internal,
    /// For one caller and one callee, where callers cannot be told apart by their address.
    Link { caller: ServiceName, callee: ServiceName },
    /// The platform's own handlers alone, whatever the host name says.
    Platform,
    /// Nothing but the way to the same place by TLS, at this port.
    Redirect { port: u16 },
}

impl Door {
    /// A word for the log.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Link { .. } => "link",
            Self::Platform => "platform",
            Self::Redirect { .. } => "redirect",
        }
    }

    /// Whether those who come through it are instances of this platform.
    pub(super) fn is_inside(&self) -> bool {
        !matches!(self, Self::Public | Self::Redirect { .. })
    }
}

/// A part of the platform that answers requests in this process.
///
/// It is given a request whose path is in normal form, without any identity header that the
/// gateway did not set, and with `X-Request-Id`. Inside doors add `X-Caller-Service` when the caller is
/// known; whether that is enough is for the handler to decide.
pub trait EmbeddedService: Send + Sync {
    fn call(&self, request: Request<Incoming>) -> BoxFuture<'_, Response<Body>>;
}

/// The handlers in this process, by door.
#[derive(Clone)]
pub struct Embedded {
    /// On the public door, by path prefix; the first match wins, and wins over every route.
    pub public: Vec<(RoutePrefix, Arc<dyn EmbeddedService>)>,
    /// At `msctl.<platform>.internal` and behind [`Door::Platform`].
    pub internal: Arc<dyn EmbeddedService>,
}

impl Embedded {
    pub(super) fn at_public(&self, path: &str) -> Option<Arc<dyn EmbeddedService>> {
        let found = self.public.iter().find(|(prefix, _)| covers(prefix, path));
        found.map(|(_, handler)| Arc::clone(handler))
    }
}

/// Whether a path is at or below a prefix, by whole segments.
pub(super) fn covers(prefix: &RoutePrefix, path: &str) -> bool {
    let mut segments = matched_segments(path);
    prefix.segments().all(|expected| segments.next() == Some(expected))
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.public.iter().map(|(prefix, _)| prefix)).finish()
    }
}
