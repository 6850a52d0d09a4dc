//! One event for each request, with the target `access`, once its last byte was handed on or the
//! client has gone. What it looks like is the subscriber's business.
//!
//! The query is left out: it may hold what nobody should read.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::body::{Body, BodyError};
use super::client_io::Busy;
use super::upstream::Upstream;
use crate::model::name::ServiceName;

/// How a request is known to have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nothing has been answered yet; dropped like this, the client has gone.
    Unanswered,
    /// The head is out; dropped like this, the client has gone or a body broke off.
    Answered(StatusCode),
    Complete(StatusCode),
}

/// What is known about a request. Written when it is dropped, so nothing escapes the log.
#[derive(Debug)]
pub(super) struct Record {
    began: Instant,
    door: &'static str,
    client: SocketAddr,
    method: Method,
    uri: Uri,
    request_id: Option<HeaderValue>,
    caller: Option<ServiceName>,
    subject: Option<String>,
    upstream: Option<Arc<Upstream>>,
    code: Option<&'static str>,
    bytes_out: u64,
    end: End,
    busy: Busy,
}

impl Record {
    pub(super) fn begin<B>(request: &Request<B>, door: &'static str, client: SocketAddr, busy: Busy) -> Self {
        Self {
            began: Instant::now(),
            door,
            client,
            method: request.method().clone(),
            uri: request.uri().clone(),
            request_id: None,
            caller: None,
            subject: None,
            upstream: None,
            code: None,
            bytes_out: 0,
            end: End::Unanswered,
            busy,
        }
    }

    pub(super) fn has_id(&mut self, id: &HeaderValue) {
        self.request_id = Some(id.clone());
    }

    pub(super) fn is_from(&mut self, caller: Option<&ServiceName>, subject: Option<&str>) {
        self.caller = caller.cloned();
        self.subject = subject.map(str::to_owned);
    }

    pub(super) fn goes_to(&mut self, upstream: &Arc<Upstream>) {
        self.upstream = Some(Arc::clone(upstream));
    }

    pub(super) fn fails_with(&mut self, code: &'static str) {
        self.code = Some(code);
    }

    /// Hands the record to the body: the request is over when that is.
    pub(super) fn answers(mut self, response: Response<Body>) -> Response<Recorded> {
        self.end = End::Answered(response.status());
        self.busy.is_answered();
        response.map(|body| Recorded { body, record: self })
    }

    fn emit(&self) {
        let (status, code) = match self.end {
            // The number that nginx gave it; it never goes over the wire.
            End::Unanswered => (499, Some("client_gone")),
            End::Answered(status) => (status.as_u16(), self.code.or(Some("cut_short"))),
            End::Complete(status) => (status.as_u16(), self.code),
        };
        tracing::info!(
            target: "access",
            request_id = self.request_id.as_ref().and_then(|id| id.to_str().ok()),
            door = self.door,
            client = %self.client,
            method = %self.method,
            path = self.uri.path(),
            status,
            code,
            service = self.upstream.as_ref().map(|upstream| upstream.instance().service.as_str()),
            instance = self.upstream.as_ref().map(|upstream| tracing::field::display(upstream.instance())),
            caller = self.caller.as_ref().map(ServiceName::as_str),
            subject = self.subject.as_deref(),
            bytes_out = self.bytes_out,
            duration_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX),
        );
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if tracing::enabled!(target: "access", tracing::Level::INFO) {
            self.emit();
        }
    }
}

/// A body with the record of its request.
#[derive(Debug)]
pub(super) struct Recorded {
    body: Body,
    record: Record,
}

impl Recorded {
    fn complete(&mut self) {
        if let End::Answered(status) = self.record.end {
            self.record.end = End::Complete(status);
        }
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        // hyper does not ask for the end of a body whose length it knows.
        if self.body.is_end_stream() {
            self.complete();
        }
    }
}

impl HttpBody for Recorded {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            None => self.complete(),
            Some(Ok(frame)) => self.record.bytes_out += frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(error)) => {
                self.record.fails_with("upstream_cut");
                tracing::debug!(%error, "response body broke off");
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
