//! What a response still gets before it leaves, be it the service's or a refusal: known as soon as
//! the route is, applied at the end.

use std::sync::Arc;

use http::header::ORIGIN;
use http::{HeaderValue, Method, Request, Response};

use super::body::Body;
use super::destination::Way;
use super::routes::Rule;
use super::{compression, cors};

#[derive(Debug, Default)]
pub(super) struct Finish {
    cors: Option<(Arc<Rule>, Option<HeaderValue>)>,
    compression: Compression,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Compression {
    #[default]
    Off,
    /// This request does not get it, and another one might.
    Varies,
    Wanted,
}

impl Finish {
    /// For a client's request that takes this way.
    pub(super) fn of<B>(way: Way<'_>, request: &Request<B>) -> Self {
        let Way::Route(rule) = way else { return Self::default() };
        let headers = request.headers();
        let cors = rule.policy.cors.is_some();
        let compression = match rule.policy.compress {
            false => Compression::Off,
            true if request.method() != Method::HEAD && compression::is_accepted(headers) => {
                Compression::Wanted
            }
            true => Compression::Varies,
        };
        Self { cors: cors.then(|| (Arc::clone(rule), headers.get(ORIGIN).cloned())), compression }
    }

    pub(super) fn apply(self, mut response: Response<Body>) -> Response<Body> {
        if let Some((rule, origin)) = self.cors
            && let Some(cors) = &rule.policy.cors
        {
            cors::decorate(cors, origin.as_ref(), response.headers_mut());
        }
        match self.compression {
            Compression::Off => response,
            Compression::Varies => compression::pass(response),
            Compression::Wanted => compression::apply(response),
        }
    }
}
