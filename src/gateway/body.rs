//! What the gateway answers with: an enum, so that a proxied byte meets no box on its way.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;

use super::gzip::Gzipped;
use super::proxied_body::ProxiedBody;
use super::stall::Bounds;
use super::tunnel::Opening;
use crate::model::traffic::Timeouts;

/// Whatever made a body end early. It goes to the access log; the client sees the connection end.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

pub struct Body(Kind);

enum Kind {
    Empty,
    Full(Bytes),
    Proxied(ProxiedBody),
    Embedded(UnsyncBoxBody<Bytes, BodyError>),
    /// Rare next to the others, and larger than they are.
    Gzipped(Box<Gzipped>),
    /// Nothing: what follows is a tunnel.
    Opening(Option<Opening>),
}

impl Body {
    pub fn empty() -> Self {
        Self(Kind::Empty)
    }

    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Full(bytes.into()))
    }

    /// For embedded handlers, whose bodies are of any type.
    pub fn boxed<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        Self(Kind::Embedded(body.map_err(Into::into).boxed_unsync()))
    }

    /// How long its client may take.
    pub(super) fn bounds(&self) -> Bounds {
        match &self.0 {
            Kind::Proxied(body) => body.bounds(),
            Kind::Gzipped(body) => body.bounds(),
            Kind::Empty | Kind::Full(_) | Kind::Embedded(_) | Kind::Opening(_) => {
                Bounds { idle: Timeouts::default().idle, deadline: None }
            }
        }
    }

    pub(super) fn gzipped(body: Gzipped) -> Self {
        Self(Kind::Gzipped(Box::new(body)))
    }

    pub(super) fn proxied(body: ProxiedBody) -> Self {
        Self(Kind::Proxied(body))
    }

    pub(super) fn opening(opening: Opening) -> Self {
        Self(Kind::Opening(Some(opening)))
    }

    /// The tunnel that it opens, if it does.
    pub(super) fn take_opening(&mut self) -> Option<Opening> {
        if let Kind::Opening(opening) = &mut self.0 { opening.take() } else { None }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            Kind::Empty => "empty",
            Kind::Full(_) => "full",
            Kind::Proxied(_) => "proxied",
            Kind::Embedded(_) => "embedded",
            Kind::Gzipped(_) => "gzipped",
            Kind::Opening(_) => "opening",
        };
        write!(f, "Body({kind})")
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Kind::Empty | Kind::Opening(_) => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Proxied(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
            Kind::Embedded(body) => Pin::new(body).poll_frame(context),
            Kind::Gzipped(body) => Pin::new(&mut **body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty | Kind::Opening(_) => true,
            Kind::Full(_) => false,
            Kind::Proxied(body) => body.is_end_stream(),
            Kind::Embedded(body) => body.is_end_stream(),
            Kind::Gzipped(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty | Kind::Opening(_) => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Proxied(body) => body.size_hint(),
            Kind::Embedded(body) => body.size_hint(),
            Kind::Gzipped(body) => body.size_hint(),
        }
    }
}
