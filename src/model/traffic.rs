//! How the gateway treats a service and its routes: limits, retries, balancing, and what browsers
//! need. Every default is what suits most services; a manifest names only what differs.

use std::collections::BTreeSet;
use std::time::Duration;

use super::quantity::ByteSize;

/// How requests reach the instances of one service: `[traffic]` of its manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct TrafficPolicy {
    pub protocol: UpstreamProtocol,
    pub balance: Balance,
    /// For so long a new instance's share grows from little to a full one. Zero: no slow start.
    pub slow_start: Duration,
    /// Requests of the service that are open at once; more are answered with 503 at once.
    pub max_in_flight: u32,
    pub breaker: BreakerPolicy,
    pub outlier: OutlierPolicy,
    /// How the newest generation is tried while an older one also takes requests.
    pub canary: Option<Canary>,
}

/// What instances speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UpstreamProtocol {
    #[default]
    Http1,
    /// HTTP/2 in clear by prior knowledge (RFC 9113, section 3.3); what gRPC needs.
    Http2,
}

/// How an instance is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Balance {
    /// The less busy of two that are picked at random.
    #[default]
    LeastRequest,
    RoundRobin,
    /// The same key goes to the same instance for as long as that is there.
    Consistent(RequestKey),
}

/// What of a request is counted or hashed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RequestKey {
    /// The client's address; of IPv6 the /64.
    Client,
    /// The subject of the token; without one, the client's address.
    Subject,
    /// The value of this header, lower case; without one, the client's address.
    Header(String),
    Cookie(String),
    /// All requests together.
    Everyone,
}

/// When a service that fails is left alone for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerPolicy {
    /// So many failures in a row open it.
    pub consecutive_failures: u32,
    /// Or this share of successes within `window`, from `minimum` answers on.
    pub success_rate: f64,
    pub minimum: u32,
    pub window: Duration,
    /// The first pause before a single request is let through to try; it doubles up to `max_pause`.
    pub pause: Duration,
    pub max_pause: Duration,
}

/// When one instance of several is left out for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutlierPolicy {
    /// So many failures in a row eject an instance. 0: never.
    pub consecutive_failures: u32,
    /// The first ejection lasts this long, the n-th n times as long, up to `max_ejection`.
    pub ejection: Duration,
    pub max_ejection: Duration,
    /// The largest share of the instances that may be ejected at once; one may always be.
    pub max_share: f64,
    /// With a smaller share of healthy instances than this, all are used as if they were healthy.
    pub panic_below: f64,
}

/// Who is served by the newest generation. A matching header or cookie decides before the weight.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Canary {
    /// The newest generation's share of the other requests, in percent: 0 to 100.
    pub weight: u8,
    /// Name, lower case, and value.
    pub header: Option<(String, String)>,
    pub cookie: Option<(String, String)>,
}

/// What holds for one route beyond who may use it: `[[routes]]` of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct RoutePolicy {
    /// The longest request body.
    pub max_body: ByteSize,
    pub timeouts: Timeouts,
    pub retries: RetryPolicy,
    pub rate_limit: Option<RateLimit>,
    pub cors: Option<Cors>,
    /// Whether compressible responses are compressed for clients that accept it.
    pub compress: bool,
    /// Answers with a redirect instead of asking the service.
    pub redirect: Option<Redirect>,
    /// Whether the service gets the client's token: `Authorization`, and `access_token` of `Cookie`.
    /// By default it does, to call others on behalf of the user; who that is, it is told in any case.
    pub forward_authorization: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From the end of the request to the head of the response, all attempts together.
    pub response: Duration,
    /// From the head of the request to the end of the response. Streams (`text/event-stream`, calls of gRPC,
    /// upgraded connections) are exempt.
    pub total: Duration,
    /// The longest pause within a stream or body.
    pub idle: Duration,
    /// The same of a tunnel. People leave pages open, so it is longer unless `idle` is said.
    pub tunnel_idle: Duration,
}

/// Further tries on another instance, where a failed one cannot have done anything, or where the
/// method is idempotent (RFC 9110, section 9.2.2).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// Beyond the first try. 0: none.
    pub attempts: u32,
    /// Retries may be this share of the service's open requests, or `min_concurrent`, if that is more.
    pub budget: f64,
    pub min_concurrent: u32,
    /// Whether an answer of 502, 503 or 504, or none in time, is tried again, for idempotent requests.
    pub on_status: bool,
}

impl RetryPolicy {
    /// Among how many tries the time for a response's head is shared: where no answer in time is
    /// worth another try, one has it all.
    #[must_use]
    pub fn tries_of_late(&self) -> u32 {
        if self.on_status { self.attempts.saturating_add(1) } else { 1 }
    }
}

/// `requests` in each `period` on average, and `burst` at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    pub requests: u32,
    pub period: Duration,
    pub burst: u32,
    pub key: RequestKey,
}

/// Which pages of other origins may use a route (Fetch standard, CORS protocol).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    pub origins: Origins,
    /// Request headers that pages may set, lower case; empty: whatever they ask for.
    pub headers: BTreeSet<String>,
    /// Response headers that pages may read, lower case.
    pub expose: BTreeSet<String>,
    /// Whether cookies may be sent along. Never with [`Origins::Any`].
    pub credentials: bool,
    pub max_age: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    Any,
    /// Serialised origins: `https://shop.example`.
    Only(BTreeSet<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// A path, or an absolute URL. The query of the request is kept.
    pub to: String,
    /// 301, 302, 307 or 308.
    pub status: u16,
}

impl Default for TrafficPolicy {
    fn default() -> Self {
        Self {
            protocol: UpstreamProtocol::default(),
            balance: Balance::default(),
            slow_start: Duration::from_secs(10),
            max_in_flight: 1024,
            breaker: BreakerPolicy::default(),
            outlier: OutlierPolicy::default(),
            canary: None,
        }
    }
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            consecutive_failures: 20,
            success_rate: 0.5,
            minimum: 50,
            window: Duration::from_secs(10),
            pause: Duration::from_secs(1),
            max_pause: Duration::from_secs(30),
        }
    }
}

impl Default for OutlierPolicy {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            ejection: Duration::from_secs(30),
            max_ejection: Duration::from_secs(300),
            max_share: 0.5,
            panic_below: 0.5,
        }
    }
}

impl Default for RoutePolicy {
    fn default() -> Self {
        Self {
            max_body: ByteSize::from_mebibytes(10),
            timeouts: Timeouts::default(),
            retries: RetryPolicy::default(),
            rate_limit: None,
            cors: None,
            compress: true,
            redirect: None,
            forward_authorization: true,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            response: Duration::from_secs(15),
            total: Duration::from_secs(60),
            idle: Duration::from_secs(300),
            tunnel_idle: Duration::from_secs(3600),
        }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 1, budget: 0.2, min_concurrent: 3, on_status: false }
    }
}
