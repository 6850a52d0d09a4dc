//! One request as it is known so far, and the body that carries it to its end.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::queue::AccessLog;
use crate::gateway::body::{Body, BodyError};
use crate::gateway::client_io::Busy;
use crate::gateway::connection::{Age, ConnectError, Connection};
use crate::gateway::flag::Flag;
use crate::gateway::grpc;
use crate::gateway::metrics::{Answer, Metrics, RetryOutcome, RetryReason, RouteStats};
use crate::gateway::problem::Problem;
use crate::gateway::trace_context::TraceContext;
use crate::gateway::tunnel::Opening;
use crate::gateway::tunnel_end::Pulse;
use crate::gateway::upload::Upload;
use crate::gateway::upstream::Upstream;
use crate::model::name::ServiceName;
use crate::model::traffic::UpstreamProtocol;

/// Where it is told how requests went.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Observer {
    pub(in crate::gateway) metrics: Arc<Metrics>,
    pub(in crate::gateway) log: Option<AccessLog>,
}

/// How a request is known to have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nothing has been answered yet; dropped like this, the client has gone.
    Unanswered,
    /// The head is out; dropped like this, the client has gone or a body broke off.
    Answered(StatusCode),
    Complete(StatusCode),
}

/// The number that nginx gave to a client that has gone; it never goes over the wire.
const CLIENT_GONE: u16 = 499;

/// What is known about a request. Noted when it is dropped, so nothing escapes.
#[derive(Debug)]
pub(in crate::gateway) struct Record {
    observer: Arc<Observer>,
    began: Instant,
    pub(super) door: &'static str,
    pub(super) client: IpAddr,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) trace: TraceContext,
    pub(super) id: Option<HeaderValue>,
    call: Option<Box<grpc::Call>>,
    pub(super) host: Option<HeaderValue>,
    pub(super) caller: Option<ServiceName>,
    pub(super) subject: Option<String>,
    pub(super) route: Option<Arc<RouteStats>>,
    pub(super) upstream: Option<Arc<Upstream>>,
    upload: Option<Arc<Upload>>,
    /// It went on as a tunnel: it was counted when that opened, all but the bytes.
    tunnel: Option<Arc<Pulse>>,
    pub(super) tries: Tries,
    fault: Option<(&'static str, Flag)>,
    bytes_out: u64,
    end: End,
    busy: Busy,
}

/// What it took to get an answer.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::gateway) struct Tries {
    /// When the first began.
    began: Option<Instant>,
    /// When the last one did.
    last: Option<Instant>,
    pub(super) count: u32,
    /// What all of them spent on opening connections, or on failing to.
    pub(super) connect: Option<Duration>,
    connects: u32,
    reuses: u32,
    failed_to_connect: bool,
    /// Why there was more than one.
    again: Option<RetryReason>,
    /// From the first try to the head of the answer.
    pub(super) head: Option<Duration>,
}

/// How a request went, once that is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    pub(super) status: u16,
    /// In a word for programs, where the gateway itself had to say something.
    pub(super) code: Option<&'static str>,
    pub(super) flag: Option<Flag>,
    pub(super) total: Duration,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

impl Record {
    pub(in crate::gateway) fn begin<B>(
        request: &Request<B>,
        door: &'static str,
        client: SocketAddr,
        busy: Busy,
        observer: &Arc<Observer>,
    ) -> Self {
        Self {
            observer: Arc::clone(observer),
            began: Instant::now(),
            door,
            client: client.ip().to_canonical(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            trace: TraceContext::of(request.headers()),
            id: None,
            call: grpc::Call::of(request).map(Box::new),
            host: None,
            caller: None,
            subject: None,
            route: None,
            upstream: None,
            upload: None,
            tunnel: None,
            tries: Tries::default(),
            fault: None,
            bytes_out: 0,
            end: End::Unanswered,
            busy,
        }
    }

    pub(in crate::gateway) fn has_id(&mut self, id: &HeaderValue) {
        self.id = Some(id.clone());
    }

    /// Whom proxies before this one speak for.
    pub(in crate::gateway) fn is_of_client(&mut self, client: IpAddr) {
        self.client = client.to_canonical();
    }

    /// Which trace it belongs to.
    pub(in crate::gateway) fn trace(&self) -> TraceContext {
        self.trace
    }

    /// The call that it is, and in which way it is answered.
    pub(in crate::gateway) fn call(&self) -> Option<&grpc::Call> {
        self.call.as_deref()
    }

    /// It goes to a service that speaks this: a call needs HTTP/2 all the way.
    pub(in crate::gateway) fn goes_on_by(&mut self, protocol: UpstreamProtocol) {
        if protocol != UpstreamProtocol::Http2 {
            self.call.take_if(|call| call.reads_trailers());
        }
    }

    /// Where it was sent, as it stands there.
    pub(in crate::gateway) fn is_for_host(&mut self, host: &HeaderValue) {
        self.host = Some(host.clone());
    }

    pub(in crate::gateway) fn is_from(&mut self, caller: Option<&ServiceName>, subject: Option<&str>) {
        self.caller = caller.cloned();
        self.subject = subject.map(str::to_owned);
    }

    /// Which route it takes: under that it is counted, however it ends.
    pub(in crate::gateway) fn takes(&mut self, route: &Arc<RouteStats>) {
        self.route = Some(Arc::clone(route));
    }

    /// It is the platform's own to answer.
    pub(in crate::gateway) fn is_ours(&mut self) {
        self.route = Some(Arc::clone(self.observer.metrics.embedded()));
    }

    pub(in crate::gateway) fn goes_to(&mut self, upstream: &Arc<Upstream>) {
        self.upstream = Some(Arc::clone(upstream));
    }

    /// What its body is counted by.
    pub(in crate::gateway) fn uploads(&mut self, upload: Option<&Arc<Upload>>) {
        self.upload = upload.cloned();
    }

    pub(in crate::gateway) fn tries(&mut self) -> &mut Tries {
        &mut self.tries
    }

    pub(in crate::gateway) fn fails_with(&mut self, problem: &Problem) {
        self.fault = Some((problem.code(), Flag::of(problem)));
    }

    /// Hands the record to the body, or to the tunnel: the request is over when that is.
    pub(in crate::gateway) fn answers(mut self, mut response: Response<Body>) -> Response<Recorded> {
        self.busy.is_answered();
        if let Some(opening) = response.body_mut().take_opening() {
            self.tunnels(response.status(), opening);
            return response.map(|body| Recorded { body, record: None });
        }
        self.end = End::Answered(response.status());
        self.busy.pace().answers(response.body().bounds());
        response.map(|body| Recorded { body, record: Some(self) })
    }

    fn tunnels(mut self, status: StatusCode, opening: Opening) {
        self.end = End::Complete(status);
        self.count(&self.outcome());
        self.tunnel = Some(opening.pulse);
        // A tunnel that was cut before it began wants no record, which then ends here.
        let _ = opening.record.send(self);
    }

    fn outcome(&self) -> Outcome {
        let gone = if self.busy.pace().is_cut() {
            ("client_stalled", Flag::ClientLate)
        } else {
            ("client_gone", Flag::ClientGone)
        };
        let (status, fault) = match self.end {
            End::Unanswered => (CLIENT_GONE, Some(gone)),
            End::Answered(status) => (status.as_u16(), self.fault.or(Some(gone))),
            End::Complete(status) => (status.as_u16(), self.fault),
        };
        let uploaded = self.upload.as_ref().map_or(0, |upload| upload.taken());
        let (from_client, to_client) = self.tunnel.as_ref().map_or((0, 0), |tunnel| tunnel.bytes());
        Outcome {
            status,
            code: fault.map(|(code, _)| code),
            flag: fault.map(|(_, flag)| flag),
            total: self.began.elapsed(),
            bytes_in: uploaded + from_client,
            bytes_out: self.bytes_out + to_client,
        }
    }

    fn stats(&self) -> &RouteStats {
        self.route.as_ref().unwrap_or_else(|| self.observer.metrics.unrouted())
    }

    fn count(&self, outcome: &Outcome) {
        let route = self.stats();
        route.count(&Answer {
            method: self.method.clone(),
            status: outcome.status,
            flag: outcome.flag,
            total: outcome.total,
            bytes_in: outcome.bytes_in,
            bytes_out: outcome.bytes_out,
        });
        self.tries.count_for(route);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let outcome = self.outcome();
        match &self.tunnel {
            None => self.count(&outcome),
            Some(_) => self.stats().carried(outcome.bytes_in, outcome.bytes_out),
        }
        if let Some(log) = &self.observer.log {
            log.note(|line| super::line::write(self, &outcome, line));
        }
    }
}

impl Tries {
    /// One begins.
    pub(in crate::gateway) fn begin(&mut self) {
        self.count += 1;
        self.last = Some(Instant::now());
        self.began = self.began.or(self.last);
    }

    /// One more follows, because of this.
    pub(in crate::gateway) fn again(&mut self, reason: RetryReason) {
        self.again = Some(reason);
    }

    /// Whether there is a connection to try it on; a fresh one was opened for this.
    pub(in crate::gateway) fn connected(
        &mut self,
        connected: Result<Connection, ConnectError>,
    ) -> Result<Connection, ConnectError> {
        match &connected {
            Ok(connection) if connection.age == Age::Reused => {
                self.reuses += 1;
                return connected;
            }
            Ok(_) => self.connects += 1,
            Err(_) => self.failed_to_connect = true,
        }
        let spent = self.last.map_or(Duration::ZERO, |last| last.elapsed());
        self.connect = Some(self.connect.unwrap_or_default() + spent);
        connected
    }

    /// The head of the answer is there.
    pub(in crate::gateway) fn answered<B>(&mut self, response: Response<B>) -> Response<B> {
        self.head = self.began.map(|began| began.elapsed());
        response
    }

    fn count_for(&self, route: &RouteStats) {
        if self.count == 0 {
            return;
        }
        let service = route.service();
        if self.connects > 0 {
            service.connects.add(self.connects.into());
        }
        if self.reuses > 0 {
            service.reuses.add(self.reuses.into());
        }
        if self.failed_to_connect {
            service.connect_failures.increment();
        }
        if let Some(head) = self.head {
            service.answered_after(head);
        }
        if let Some(reason) = self.again {
            let outcome = if self.head.is_some() { RetryOutcome::Answered } else { RetryOutcome::Failed };
            service.retried(reason, outcome);
        }
    }
}

/// A body with the record of its request; without, where a tunnel has taken it.
#[derive(Debug)]
pub(in crate::gateway) struct Recorded {
    body: Body,
    record: Option<Record>,
}

impl Record {
    fn complete(&mut self) {
        if let End::Answered(status) = self.end {
            self.end = End::Complete(status);
        }
    }

    /// What the body came to when it was asked for more.
    fn sees(&mut self, frame: &Poll<Option<Result<Frame<Bytes>, BodyError>>>) {
        let Poll::Ready(frame) = frame else {
            return self.busy.pace().waits();
        };
        self.busy.pace().moves();
        match frame {
            None => self.complete(),
            Some(Ok(frame)) => self.bytes_out += frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(error)) => {
                self.fault = Some(("upstream_cut", Flag::UpstreamCut));
                tracing::debug!(%error, "response body broke off");
            }
        }
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        // hyper does not ask for the end of a body whose length it knows.
        if let Some(record) = &mut self.record
            && self.body.is_end_stream()
            && !record.busy.pace().is_cut()
        {
            record.complete();
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
        let frame = Pin::new(&mut self.body).poll_frame(context);
        self.record.iter_mut().for_each(|record| record.sees(&frame));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
