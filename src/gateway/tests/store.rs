//! The platform `store`: what it is made of, and who answers at its doors.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;

use crate::gateway::{Body, Door, Embedded, EmbeddedService};
use crate::model::name::{PlatformId, Worktree};
use crate::model::platform::{
    AuthSettings, Budget, Build, Database, GatewaySettings, Health, Limits, Platform, Run, ServiceSpec,
};
use crate::model::principal::{Principal, Source, TokenRejection, TokenVerifier};
use crate::model::quantity::{ByteSize, Cpus};
use crate::model::route::{Access, Methods, Route};
use crate::model::traffic::{RoutePolicy, TrafficPolicy};

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
        checkout: None,
        root: PathBuf::from("/store"),
        manifest: PathBuf::from("/store/msctl.toml"),
        service_folders: vec!["services/*".to_owned()],
        gateway: GatewaySettings::at(SocketAddr::from(([127, 0, 0, 1], 0))),
        auth: AuthSettings { access_token_ttl: Duration::from_secs(900), issuer: None },
        configuration: BTreeMap::new(),
        image_aliases: BTreeMap::new(),
        budget: Budget::default(),
        services: [order, product].into_iter().map(|spec| (spec.name.clone(), spec)).collect(),
    }
}

fn service(name: &str, routes: Vec<Route>, calls: &[&str]) -> ServiceSpec {
    ServiceSpec {
        name: name.parse().unwrap(),
        context: None,
        folder: PathBuf::from("/store/services").join(name),
        build: Build::Image { reference: "scratch".to_owned() },
        shared: BTreeSet::new(),
        process: None,
        run: Run {
            port: 8080.try_into().unwrap(),
            replicas: 1,
            limits: Limits {
                memory: ByteSize::from_mebibytes(64),
                cpus: Cpus::from_count(1.0).unwrap(),
                pids: 64,
            },
            health: Health {
                path: "/health/ready".to_owned(),
                start_period: Duration::from_secs(10),
                timeout: Duration::from_secs(1),
            },
            stop_grace: Duration::from_secs(10),
        },
        routes,
        traffic: TrafficPolicy::default(),
        calls: calls.iter().map(|callee| callee.parse().unwrap()).collect(),
        database: Database::None,
        env_files: Vec::new(),
        configuration: BTreeMap::new(),
    }
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
