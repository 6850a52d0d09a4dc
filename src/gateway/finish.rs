//! What a response still gets before it leaves, be it the service's or a refusal: known as soon as
//! the route is, applied at the end.

use std::sync::Arc;

use http::header::ORIGIN;
use http::{HeaderMap, HeaderValue, Response};

use super::body::Body;
use super::cors;
use super::destination::Way;
use super::routes::Rule;

#[derive(Debug, Default)]
pub(super) struct Finish {
    cors: Option<(Arc<Rule>, Option<HeaderValue>)>,
}

impl Finish {
    /// For a request that takes this way. `headers` are the client's.
    pub(super) fn of(way: &Way, headers: &HeaderMap) -> Self {
        let Way::Route(rule) = way else { return Self::default() };
        let cors = rule.policy.cors.is_some();
        Self { cors: cors.then(|| (Arc::clone(rule), headers.get(ORIGIN).cloned())) }
    }

    pub(super) fn apply(self, mut response: Response<Body>) -> Response<Body> {
        if let Some((rule, origin)) = self.cors
            && let Some(cors) = &rule.policy.cors
        {
            cors::decorate(cors, origin.as_ref(), response.headers_mut());
        }
        response
    }
}
