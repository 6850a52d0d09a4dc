//! A request's way through the gateway, phase by phase.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::STRICT_TRANSPORT_SECURITY;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::access_log::{AccessLog, Observer, Record, Recorded};
use super::attempts::{self, Asking};
use super::body::Body;
use super::client::Remote;
use super::connection::Connection;
use super::connections::{ConnectionCounts, Connections};
use super::cors;
use super::credential::{self, Made};
use super::destination::{self, Asked, Destination, Way};
use super::door::Embedded;
use super::exchange::Watched;
use super::finish::Finish;
use super::grpc;
use super::guard;
use super::headers::{self, X_REQUEST_ID};
use super::limits::Limits;
use super::message::{self, Authority};
use super::metrics::{Metrics, Sight};
use super::path;
use super::policy::budget::Full;
use super::problem::Problem;
use super::proxied_body::{OnDeadline, ProxiedBody};
use super::rate_headers;
use super::redirect;
use super::request_id::{self, Trust};
use super::service::Service;
use super::session::Session;
use super::table::RouteTable;
use super::throttle::{self, Asker, Known};
use super::tunnel::{self, Wanted};
use super::upstream::Lease;
use super::visit::Visit;
use super::wants::Wants;
use super::workers::Workers;
use crate::model::name::ServiceName;
use crate::model::platform::Network;
use crate::model::principal::{Principal, TokenVerifier};
use crate::model::traffic::Timeouts;

/// The data plane, ready to be [`run`](super::run) on any number of listeners. Clones are the same gateway.
#[derive(Clone)]
pub struct Gateway {
    pub(super) routes: watch::Receiver<Arc<RouteTable>>,
    verifier: Arc<dyn TokenVerifier>,
    embedded: Arc<Embedded>,
    limits: Arc<Limits>,
    workers: Option<Arc<Workers>>,
    trusted_proxies: Arc<[Network]>,
    hsts: Option<HeaderValue>,
    connections: Arc<Connections>,
    observer: Arc<Observer>,
    is_leaving: Arc<AtomicBool>,
}

/// A response's head, with everything its body still needs.
pub(super) struct Answered {
    pub(super) response: Response<Incoming>,
    pub(super) connection: Connection,
    pub(super) watched: Watched,
    pub(super) on_deadline: OnDeadline,
    pub(super) lease: Lease,
}

impl Gateway {
    pub fn new(
        routes: watch::Receiver<Arc<RouteTable>>,
        verifier: Arc<dyn TokenVerifier>,
        embedded: Embedded,
    ) -> Self {
        let observer = Arc::new(Observer { metrics: Arc::clone(routes.borrow().metrics()), log: None });
        Self {
            routes,
            verifier,
            embedded: Arc::new(embedded),
            limits: Arc::default(),
            workers: None,
            trusted_proxies: Arc::default(),
            hsts: None,
            connections: Arc::default(),
            observer,
            is_leaving: Arc::default(),
        }
    }

    /// Notes every request there.
    #[must_use]
    pub fn with_access_log(self, log: AccessLog) -> Self {
        let metrics = Arc::clone(self.metrics());
        Self { observer: Arc::new(Observer { metrics, log: Some(log) }), ..self }
    }

    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits: Arc::new(limits), ..self }
    }

    /// Takes what proxies in these networks say about clients for true.
    #[must_use]
    pub fn with_trusted_proxies(self, networks: &[Network]) -> Self {
        Self { trusted_proxies: networks.into(), ..self }
    }

    /// Tells browsers that come by TLS to come by nothing else for so long (RFC 6797).
    #[must_use]
    pub fn with_hsts(self, max_age: Option<Duration>) -> Self {
        let hsts = max_age.map(|max_age| format!("max-age={}", max_age.as_secs()));
        Self { hsts: hsts.and_then(|hsts| HeaderValue::try_from(hsts).ok()), ..self }
    }

    /// Serves connections on these threads instead of on the runtime that accepts them.
    #[must_use]
    pub fn with_workers(self, workers: Arc<Workers>) -> Self {
        Self { workers: Some(workers), ..self }
    }

    /// Where the next connection goes; `None` for the runtime that accepts it.
    pub(super) fn worker(&self) -> Option<Handle> {
        self.workers.as_ref().map(|workers| workers.next().clone())
    }

    /// How many connections there are, over all doors.
    pub fn connection_counts(&self) -> ConnectionCounts {
        self.connections.counts()
    }

    /// From now on each answer ends its connection, so that clients come back to somebody else.
    pub fn leave(&self) {
        self.is_leaving.store(true, Ordering::Release);
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Acquire)
    }

    pub(super) fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }

    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.observer.metrics
    }

    /// What can be seen of it from outside.
    pub fn sight(&self) -> Sight {
        Sight {
            routes: self.routes.clone(),
            observer: Arc::clone(&self.observer),
            connections: Arc::clone(&self.connections),
        }
    }

    pub(super) fn observer(&self) -> &Arc<Observer> {
        &self.observer
    }

    pub fn access_log(&self) -> Option<&AccessLog> {
        self.observer.log.as_ref()
    }

    /// The table that requests are routed by now.
    pub fn table(&self) -> Arc<RouteTable> {
        Arc::clone(&self.routes.borrow())
    }

    pub(super) fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    /// Answers every request, with a problem document if need be, and records how it went.
    pub(super) async fn handle(
        &self,
        session: &Session,
        mut request: Box<Request<Incoming>>,
    ) -> Response<Recorded> {
        if request.version() == Version::HTTP_2 {
            tunnel::translate(&mut request);
        }
        let busy = session.activity.begin();
        let mut record =
            Record::begin(&request, session.door.label(), session.client, busy, &session.observer);
        let remote = self.remote(session, request.headers());
        record.is_of_client(remote.client);
        let trust = if session.door.is_inside() || remote.is_proxied { Trust::Inside } else { Trust::Nobody };
        let id = request_id::choose(request.headers().get(X_REQUEST_ID), trust);
        record.has_id(&id);
        let wants = Wants::of(request.headers());
        let mut finish = Finish::default();
        let answer = self.answer(session, remote, request, &id, &mut record, &mut finish).await;
        let response = answer.unwrap_or_else(|problem| {
            record.fails_with(&problem);
            match record.call() {
                Some(call) => grpc::response(&problem, call),
                None => problem.response(&id, wants),
            }
        });
        let mut response = finish.apply(response);
        if let (Some(hsts), true) = (&self.hsts, session.tls.is_some()) {
            // What the service says on its own counts: there is to be one, and of several the first does.
            response.headers_mut().entry(STRICT_TRANSPORT_SECURITY).or_insert_with(|| hsts.clone());
        }
        response.headers_mut().insert(X_REQUEST_ID, id);
        record.answers(response)
    }

    fn remote(&self, session: &Session, headers: &HeaderMap) -> Remote {
        let trusted = if session.door.is_inside() { &[] } else { &*self.trusted_proxies };
        Remote::of(headers, session.client.ip(), trusted)
    }

    async fn answer(
        &self,
        session: &Session,
        remote: Remote,
        request: Box<Request<Incoming>>,
        request_id: &HeaderValue,
        record: &mut Record,
        finish: &mut Finish,
    ) -> Result<Response<Body>, Problem> {
        message::check(&request, session.activity.framing(), &self.limits)?;
        let authority = message::authority(&request)?;
        record.is_for_host(&authority.value);
        session.admits(&authority)?;
        let uri = request.uri().clone();
        let path = path::normalise(uri.path())?;
        let table = session.table();
        if let Some(method) = cors::preflighted(&request)
            && let Some(answer) =
                self.preflight(session, request.headers(), &authority, &path, &method, &table)
        {
            return Ok(answer);
        }
        let caller = self.caller(session, request.headers(), &table)?;
        let asked =
            Asked { host: &authority.host(), path: &path, method: request.method(), caller: caller.as_ref() };
        let destination = destination::find(&session.door, asked, &table, &self.embedded)?;
        let (version, trace) = (request.version(), record.trace());
        let visit = Visit {
            session,
            remote,
            version,
            table: &table,
            authority,
            path: &path,
            request_id,
            trace,
            caller,
        };
        match destination {
            Destination::Embedded(handler) => visit.embedded(&*handler, *request, record).await,
            Destination::Service { service, way } => {
                *finish = Finish::of(way, &request);
                self.proxied(&visit, service, way, request, record).await
            }
        }
    }

    /// The answer to a CORS preflight, where the route that it asks about says who may use it.
    fn preflight(
        &self,
        session: &Session,
        headers: &HeaderMap,
        authority: &Authority,
        path: &str,
        method: &Method,
        table: &RouteTable,
    ) -> Option<Response<Body>> {
        let asked = Asked { host: &authority.host(), path, method, caller: None };
        match destination::find(&session.door, asked, table, &self.embedded).ok()? {
            Destination::Service { way: Way::Route(rule), .. } => {
                Some(cors::preflight(rule.policy.cors.as_ref()?, headers, method))
            }
            _ => None,
        }
    }

    fn caller(
        &self,
        session: &Session,
        headers: &HeaderMap,
        table: &RouteTable,
    ) -> Result<Option<ServiceName>, Problem> {
        if !session.door.is_inside() {
            return Ok(None);
        }
        if credential::is_from_a_browser(headers) {
            return Err(Problem::CallerUnknown);
        }
        let token = guard::service_of_token(headers, self.tokens())?;
        destination::caller(&session.door, session.client.ip(), token, table)
    }

    async fn proxied(
        &self,
        visit: &Visit<'_>,
        service: &Arc<Service>,
        way: Way<'_>,
        mut request: Box<Request<Incoming>>,
        record: &mut Record,
    ) -> Result<Response<Body>, Problem> {
        record.takes(way.stats(service));
        record.goes_on_by(service.traffic.protocol);
        let policy = way.policy();
        message::check_length(request.headers(), policy.max_body.bytes())?;
        let asker = Asker { client: visit.remote.client, principal: None, headers: request.headers() };
        let quota = throttle::count(way, Known::Client, asker)?;
        let principal = self.principal(way, &request, &visit.authority)?;
        record.is_from(visit.caller.as_ref(), principal.as_ref().map(|principal| principal.subject.as_str()));
        let asker = Asker { principal: principal.as_ref(), ..asker };
        let quota = quota.or(throttle::count(way, Known::Subject, asker)?);
        if let (Some(redirect), Way::Route(rule)) = (&policy.redirect, way) {
            let rest = path::without_prefix(visit.path, rule.prefix.segments().count());
            return redirect::answer(redirect, rest, request.uri().query());
        }
        let permit =
            service.admit().map_err(|Full| Problem::ConcurrencyFull { service: service.name.clone() })?;
        let preference = service.preference(asker);
        let wish = attempts::asked(visit, request.headers());
        let wanted = tunnel::wanted(&mut request);
        visit.rewrite(&mut request, way, principal.as_ref(), wanted.is_some())?;
        let method = request.method().clone();
        let asking = Asking { visit, service, preference, policy, method, asked: wish };
        let mut answered = self.ask(&asking, request, record).await?;
        answered.lease.keep(permit);
        let mut response = answered.delivered(wanted, visit.session, &service.name, &policy.timeouts)?;
        if let Some(quota) = quota {
            rate_headers::add(response.headers_mut(), &quota);
        }
        Ok(response)
    }

    fn tokens(&self) -> guard::Tokens<'_> {
        guard::Tokens { verifier: &*self.verifier, stats: &self.metrics().tokens }
    }

    fn principal(
        &self,
        way: Way<'_>,
        request: &Request<Incoming>,
        authority: &Authority,
    ) -> Result<Option<Principal>, Problem> {
        let headers = request.headers();
        match way {
            Way::Route(rule) => {
                let (method, cors) = (request.method(), rule.policy.cors.as_ref());
                let made = Made { headers, method, authority, cors };
                guard::admit(&rule.access, credential::of(made), self.tokens())
            }
            Way::Call => guard::verify(credential::of_header(headers), self.tokens()),
        }
    }
}

impl Answered {
    fn delivered(
        self,
        wanted: Option<Wanted>,
        session: &Session,
        service: &ServiceName,
        timeouts: &Timeouts,
    ) -> Result<Response<Body>, Problem> {
        let Self { response, connection, watched, on_deadline, lease } = self;
        if !message::is_plainly_coded(response.headers()) {
            return Err(Problem::BadAnswer { service: service.clone() });
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let granted = wanted.filter(|_| tunnel::is_accepted(&response));
            let wanted = granted.ok_or_else(|| Problem::BadAnswer { service: service.clone() })?;
            session.activity.becomes_opaque();
            return Ok(tunnel::open(wanted, response, lease, &session.tasks, timeouts));
        }
        let mut response =
            ProxiedBody::of(response, connection, watched, on_deadline, lease).map(Body::proxied);
        *response.version_mut() = Version::HTTP_11;
        headers::remove_hop_by_hop(response.headers_mut());
        Ok(response)
    }
}
