//! What the first phases found out about a request, and the head it goes on with.

use std::sync::Arc;

use http::header::TE;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response, Uri, Version};
use hyper::body::Incoming;

use super::access_log::Record;
use super::body::Body;
use super::client::Remote;
use super::credential;
use super::destination::Way;
use super::door::EmbeddedService;
use super::forwarded::Told;
use super::headers::{self, Origin};
use super::message::Authority;
use super::path::PathFault;
use super::problem::Problem;
use super::session::Session;
use super::table::RouteTable;
use super::trace_context::TraceContext;
use super::tunnel;
use crate::model::name::ServiceName;
use crate::model::principal::Principal;

/// The table is the one that the request began with.
pub(super) struct Visit<'r> {
    pub(super) session: &'r Session,
    pub(super) remote: Remote,
    /// What the client speaks.
    pub(super) version: Version,
    pub(super) table: &'r Arc<RouteTable>,
    pub(super) authority: Authority,
    pub(super) path: &'r str,
    pub(super) request_id: &'r HeaderValue,
    pub(super) trace: TraceContext,
    pub(super) caller: Option<ServiceName>,
}

impl Visit<'_> {
    pub(super) async fn embedded(
        &self,
        handler: &dyn EmbeddedService,
        mut request: Request<Incoming>,
        record: &mut Record,
    ) -> Result<Response<Body>, Problem> {
        record.is_from(self.caller.as_ref(), None);
        record.is_ours();
        *request.uri_mut() = forwarded_uri(request.uri(), self.path)?;
        self.trace.set(request.headers_mut());
        self.set_origin(request.headers_mut(), None);
        headers::set_identity(request.headers_mut(), None, self.caller.as_ref());
        Ok(handler.call(request).await)
    }

    /// Turns the client's head into the instance's.
    pub(super) fn rewrite(
        &self,
        request: &mut Request<Incoming>,
        way: Way<'_>,
        principal: Option<&Principal>,
        tunnelled: bool,
    ) -> Result<(), Problem> {
        let (path, prefix) = match way {
            Way::Route(rule) => rule.forwarded.of(self.path),
            Way::Call => (self.path, None),
        };
        *request.uri_mut() = forwarded_uri(request.uri(), path)?;
        *request.version_mut() = Version::HTTP_11;
        let headers = request.headers_mut();
        let hops = headers::next_hop(headers).ok_or(Problem::Loop)?;
        let wants_trailers = headers::has_token(headers, &TE, "trailers");
        headers::remove_hop_by_hop(headers);
        self.trace.set(headers);
        self.set_origin(headers, prefix);
        headers::write_length_plainly(headers);
        headers::set_hops(headers, hops);
        if wants_trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
        headers::set_identity(headers, principal, self.caller.as_ref());
        if !way.policy().forward_authorization {
            credential::withhold(headers);
        }
        if tunnelled {
            tunnel::set_headers(headers);
        }
        Ok(())
    }

    /// Says where the request comes from, in place of everybody whose word does not count.
    fn set_origin(&self, headers: &mut HeaderMap, prefix: Option<&HeaderValue>) {
        let told = self.remote.is_proxied.then(|| Told::by(headers));
        headers::remove_forged(headers);
        headers::set_origin(headers, self.origin(prefix));
        if let Some(told) = told {
            told.continue_in(headers, self.remote.peer);
        }
    }

    fn origin<'v>(&'v self, prefix: Option<&'v HeaderValue>) -> Origin<'v> {
        Origin {
            client: self.session.address_of(&self.remote),
            scheme: self.session.scheme(),
            authority: &self.authority,
            request_id: self.request_id,
            prefix,
        }
    }
}

/// In origin-form, with the query as it was.
fn forwarded_uri(uri: &Uri, path: &str) -> Result<Uri, Problem> {
    let unchanged = uri.path_and_query().filter(|given| given.path() == path);
    let forwarded = match (unchanged, uri.query()) {
        (Some(given), _) => Ok(given.clone()),
        (None, Some(query)) => PathAndQuery::try_from(format!("{path}?{query}")),
        (None, None) => PathAndQuery::try_from(path.to_owned()),
    };
    forwarded.map(Uri::from).map_err(|_| Problem::Path(PathFault::Character))
}
