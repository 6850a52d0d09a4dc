//! The platform `store`: what it is made of, and who answers at its doors.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;

use crate::gateway::{Body, Door, Embedded, EmbeddedService};
use crate::model::name::{PlatformId, Worktree};
use crate::model::platform::{Platform, ServiceSpec};
use crate::model::principal::{Principal, Source, TokenRejection, TokenVerifier};
use crate::model::route::{Access, Methods, Route};
use crate::model::testing;
use crate::model::traffic::RoutePolicy;

pub fn doors() -> [Door; 6] {
    let link = |caller: &str, callee: &str| Door::Link {
        caller: caller.parse().unwrap(),
        callee: callee.parse().unwrap(),
    };
    [
        Door::Public,
        Door::Internal,
        link("order", "product"),
        link("product", "order"),
        Door::Platform,
        Door::Redirect { port: 8443 },
    ]
}

/// Accepts `<subject>.<scope>.<scope>`, but not `bad` and not `old`. Remembers whom it accepted.
#[derive(Default)]
pub struct Tokens(Mutex<BTreeSet<String>>);

impl TokenVerifier for Tokens {
    fn verify(&self, token: &str, now: SystemTime) -> Result<Principal, TokenRejection> {
        let mut words = token.split('.');
        let subject = match words.next() {
            None | Some("" | "bad") => return Err(TokenRejection::Signature),
            Some("old") => return Err(TokenRejection::Expired),
            Some(subject) => subject.to_owned(),
        };
        let scopes = words.map(|scope| scope.parse().unwrap()).collect();
        Ok(Principal { subject, scopes, expires_at: now + Duration::from_secs(60) })
    }

    fn recall(&self, token: &str, now: SystemTime) -> (Result<Principal, TokenRejection>, Source) {
        let found = self.verify(token, now);
        let is_new = found.is_ok() && self.0.lock().unwrap().insert(token.to_owned());
        let source = if found.is_err() || is_new { Source::Check } else { Source::Memory };
        (found, source)
    }
}

/// Answers with its name and the head that it was given.
struct Named(&'static str);

impl EmbeddedService for Named {
    fn call(&self, request: Request<Incoming>) -> BoxFuture<'_, Response<Body>> {
        let lines =
            request.headers().iter().map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()));
        let text =
            format!("{} {} {}\r\n{}", self.0, request.method(), request.uri(), lines.collect::<String>());
        Box::pin(async { Response::new(Body::boxed(http_body_util::Full::new(bytes::Bytes::from(text)))) })
    }
}

pub fn embedded() -> Embedded {
    Embedded {
        public: vec![("/auth".parse().unwrap(), Arc::new(Named("auth")))],
        internal: Arc::new(Named("platform")),
    }
}

pub fn platform() -> Platform {
    let order = service(
        "order",
        vec![
            route("/orders", &[], Access::Public, false),
            route("/private", &[], Access::Authenticated, false),
            route("/admin", &["GET", "POST"], scopes(&["orders:admin"]), false),
            route("/stripped/deep", &[], Access::Public, true),
            route("/", &["GET", "HEAD"], Access::Public, false),
        ],
        &["product"],
    );
    let product = service("product", vec![route("/products", &[], Access::Public, false)], &[]);
    Platform {
        id: PlatformId { name: "store".parse().unwrap(), worktree: Worktree::from_hex("abcdef").unwrap() },
        root: "/store".into(),
        ..testing::platform([order, product])
    }
}

fn service(name: &str, routes: Vec<Route>, calls: &[&str]) -> ServiceSpec {
    let folder = Path::new("/store/services").join(name);
    ServiceSpec { folder, routes, ..testing::service(name, calls) }
}

fn route(prefix: &str, methods: &[&str], access: Access, strip_prefix: bool) -> Route {
    let methods = match methods {
        [] => Methods::All,
        some => Methods::Only(some.iter().map(ToString::to_string).collect()),
    };
    Route {
        prefix: prefix.parse().unwrap(),
        methods,
        access,
        strip_prefix,
        hosts: BTreeSet::new(),
        policy: RoutePolicy::default(),
    }
}

fn scopes(names: &[&str]) -> Access {
    Access::Scopes(names.iter().map(|name| name.parse().unwrap()).collect::<BTreeSet<_>>())
}
