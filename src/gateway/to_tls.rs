//! Sends clients that talk in clear to the same place by TLS.

use http::header::{CONNECTION, LOCATION};
use http::{HeaderValue, Request, Response, StatusCode, Version};

use super::access_log::{Record, Recorded};
use super::body::Body;
use super::headers::X_REQUEST_ID;
use super::message::{self, Authority};
use super::problem::Problem;
use super::request_id::{self, Trust};
use super::session::Session;
use super::wants::Wants;

/// What a browser, and nearly everybody else, takes a missing port to mean.
const HTTPS: u16 = 443;

/// `port` is where TLS is spoken. Every method keeps its body on the way there (308).
pub(super) fn answer<B>(session: &Session, port: u16, request: &Request<B>) -> Response<Recorded> {
    let busy = session.activity.begin();
    let mut record = Record::begin(request, session.door.label(), session.client, busy, &session.observer);
    let id = request_id::choose(None, Trust::Nobody);
    record.has_id(&id);
    let target = message::authority(request).and_then(|authority| location(&authority, port, request.uri()));
    let mut response = match target {
        Ok(location) => redirect(location),
        Err(problem) => {
            record.fails_with(&problem);
            problem.response(&id, Wants::of(request.headers()))
        }
    };
    if request.version() < Version::HTTP_2 {
        // The client will not come back to this connection.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response.headers_mut().insert(X_REQUEST_ID, id);
    record.answers(response)
}

fn location(authority: &Authority, port: u16, uri: &http::Uri) -> Result<HeaderValue, Problem> {
    let host = authority.host();
    let port = if port == HTTPS { String::new() } else { format!(":{port}") };
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let location = HeaderValue::try_from(format!("https://{host}{port}{path}"));
    location.map_err(|_| Problem::Host("the host is malformed"))
}

fn redirect(location: HeaderValue) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(LOCATION, location);
    response
}
