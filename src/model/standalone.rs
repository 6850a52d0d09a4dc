//! What a gateway is told that runs alone, without a platform: where it listens, whom it asks, and
//! how it treats both.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use super::instance::Generation;
use super::name::ServiceName;
use super::platform::GatewaySettings;
use super::route::Route;
use super::traffic::{TrafficPolicy, UpstreamProtocol};

#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// Where clients come in; never empty, no address twice.
    pub listeners: Vec<GatewaySettings>,
    /// Where the gateway itself is asked how it is.
    pub admin: Option<SocketAddr>,
    /// Whose tokens count. Without it every route is public.
    pub auth: Option<TokenSettings>,
    /// No name twice.
    pub services: Vec<StaticService>,
    pub shutdown: ShutdownSettings,
}

/// Whose signature a token has to carry, and what has to be in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSettings {
    pub issuer: String,
    pub audience: String,
    pub keys: KeySource,
}

/// Where a JSON Web Key Set (RFC 7517) is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    File(std::path::PathBuf),
    /// By plain HTTP, from beside this gateway.
    Url(EndpointUrl, String),
}

/// How the gateway ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShutdownSettings {
    /// For so long it says that it is not ready and goes on serving, so that whoever balances the
    /// load before it can look elsewhere.
    pub grace: Duration,
    /// For so long open requests may end afterwards.
    pub timeout: Duration,
}

impl Default for ShutdownSettings {
    fn default() -> Self {
        Self { grace: Duration::ZERO, timeout: Duration::from_secs(30) }
    }
}

/// A service whose instances the configuration lists.
#[derive(Debug, Clone, PartialEq)]
pub struct StaticService {
    pub name: ServiceName,
    /// Where it is written, for messages.
    pub place: String,
    pub endpoints: Vec<StaticEndpoint>,
    pub routes: Vec<Route>,
    pub traffic: TrafficPolicy,
    pub probing: Probing,
}

/// A place where instances answer. A host name may stand for several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticEndpoint {
    pub url: EndpointUrl,
    pub generation: Generation,
}

/// `http://host:port` or `h2c://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointUrl {
    pub protocol: UpstreamProtocol,
    /// A name, or an address without brackets.
    pub host: String,
    pub port: u16,
}

/// Whether somebody has to ask the endpoints of a service if they are well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probing {
    /// They are taken for ready; what comes of requests is what counts.
    Off,
    On(ProbePolicy),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbePolicy {
    /// `GET` of this path has to answer 2xx or 3xx. `None`: it is enough to accept a connection.
    pub path: Option<String>,
    pub interval: Duration,
    /// The pause while an endpoint is not known to be well.
    pub fast_interval: Duration,
    pub timeout: Duration,
    /// So many passes in a row make an endpoint ready again; the first pass of all is enough.
    pub rise: u32,
    /// So many failures in a row take it out.
    pub fall: u32,
}

impl Default for ProbePolicy {
    fn default() -> Self {
        Self {
            path: None,
            interval: Duration::from_secs(5),
            fast_interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            rise: 1,
            fall: 3,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an endpoint: {reason}")]
pub struct EndpointUrlError {
    text: String,
    reason: &'static str,
}

impl FromStr for EndpointUrl {
    type Err = EndpointUrlError;

    fn from_str(text: &str) -> Result<Self, EndpointUrlError> {
        parse_url(text).map_err(|reason| EndpointUrlError { text: text.to_owned(), reason })
    }
}

fn parse_url(text: &str) -> Result<EndpointUrl, &'static str> {
    let (protocol, rest) = match text.split_once("://") {
        Some(("http", rest)) => (UpstreamProtocol::Http1, rest),
        Some(("h2c", rest)) => (UpstreamProtocol::Http2, rest),
        Some(("https", _)) => return Err("TLS to endpoints is not spoken; use http:// or h2c://"),
        _ => return Err("it must start with http:// or h2c://"),
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#', '@']) {
        return Err("it has to end after the port: no path, query or user");
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, parse_port(port)?),
        _ => (authority, 80),
    };
    Ok(EndpointUrl { protocol, host: parse_host(host)?, port })
}

fn parse_port(text: &str) -> Result<u16, &'static str> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0).ok_or("its port must be from 1 to 65535")
}

fn parse_host(text: &str) -> Result<String, &'static str> {
    if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match address.parse::<std::net::Ipv6Addr>() {
            Ok(_) => Ok(address.to_owned()),
            Err(_) => Err("what is in brackets has to be an IPv6 address"),
        };
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if text.is_empty() || text.len() > 253 || !text.chars().all(allowed) {
        return Err("its host must be a name or an address, IPv6 in brackets");
    }
    Ok(text.to_ascii_lowercase())
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.protocol {
            UpstreamProtocol::Http1 => "http",
            UpstreamProtocol::Http2 => "h2c",
        };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let found = text.parse::<EndpointUrl>().map_or_else(|e| e.reason.to_owned(), |url| url.to_string());
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn an_endpoint_is_a_scheme_a_host_and_a_port() {
        check("http://127.0.0.1:9000", "http://127.0.0.1:9000");
        check("http://Orders.shop.svc:9000/", "http://orders.shop.svc:9000");
        check("http://orders", "http://orders:80");
        check("h2c://[::1]:9000", "h2c://[::1]:9000");
        check("http://[::1]", "http://[::1]:80");
    }

    #[test]
    fn anything_else_is_refused_with_the_reason() {
        check("127.0.0.1:9000", "it must start with http:// or h2c://");
        check("https://a:1", "TLS to endpoints is not spoken; use http:// or h2c://");
        check("http://a:1/path", "it has to end after the port: no path, query or user");
        check("http://me@a:1", "it has to end after the port: no path, query or user");
        for port in ["0", "65536", "+80", "", "x"] {
            check(&format!("http://a:{port}"), "its port must be from 1 to 65535");
        }
        for host in ["", "a b", "é", "::1"] {
            check(&format!("http://{host}:80"), "its host must be a name or an address, IPv6 in brackets");
        }
        check("http://[::x]:80", "what is in brackets has to be an IPv6 address");
    }
}
