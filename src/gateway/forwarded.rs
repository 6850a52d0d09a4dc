//! What a trusted proxy says about a request's way so far, kept while everything of that kind is
//! taken out, and continued by what the gateway knows.
//!
//! Of several lines the last one is the proxy's: those before it may be what a client told the proxy,
//! which added its own.

use std::net::IpAddr;

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

use super::headers::{
    self, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PORT, X_FORWARDED_PREFIX, X_FORWARDED_PROTO,
    X_REAL_IP,
};

const FORWARDED: HeaderName = HeaderName::from_static("forwarded");

/// Passed on as they are.
const KEPT: [HeaderName; 3] = [X_FORWARDED_HOST, X_FORWARDED_PROTO, X_REAL_IP];

#[derive(Debug)]
pub(super) struct Told {
    /// Of a list all lines count: each proxy adds to it.
    hops: Vec<HeaderValue>,
    forwarded: Vec<HeaderValue>,
    prefix: Option<HeaderValue>,
    port: Option<HeaderValue>,
    kept: [Option<HeaderValue>; 3],
}

impl Told {
    pub(super) fn by(headers: &HeaderMap) -> Self {
        Self {
            hops: headers.get_all(X_FORWARDED_FOR).iter().cloned().collect(),
            forwarded: headers.get_all(FORWARDED).iter().cloned().collect(),
            prefix: last(headers, &X_FORWARDED_PREFIX),
            port: last(headers, &X_FORWARDED_PORT),
            kept: KEPT.map(|name| last(headers, &name)),
        }
    }

    /// After the gateway has said its own. `peer` is who told all this.
    pub(super) fn continue_in(self, headers: &mut HeaderMap, peer: IpAddr) {
        let hops = self.hops.into_iter().chain([headers::address(peer)]);
        insert(headers, X_FORWARDED_FOR, &joined(hops));
        if !self.forwarded.is_empty() {
            insert(headers, FORWARDED, &joined(self.forwarded));
        }
        if let Some(prefix) = self.prefix {
            let own = headers.get(X_FORWARDED_PREFIX).map_or(&b""[..], HeaderValue::as_bytes);
            let whole = [prefix.as_bytes(), own].concat();
            insert(headers, X_FORWARDED_PREFIX, &whole);
        }
        for (name, value) in KEPT.into_iter().zip(self.kept) {
            if let Some(value) = value {
                headers.insert(name, value);
            }
        }
        if let Some(port) = self.port.or_else(|| port(headers)) {
            headers.insert(X_FORWARDED_PORT, port);
        }
    }
}

/// Where a proxy tells by which name and scheme it was reached, that says at which port, too.
fn port(headers: &HeaderMap) -> Option<HeaderValue> {
    let scheme = headers.get(X_FORWARDED_PROTO)?.to_str().ok()?;
    Some(headers::port_of(headers.get(X_FORWARDED_HOST)?, scheme))
}

fn joined(lines: impl IntoIterator<Item = HeaderValue>) -> Vec<u8> {
    let lines: Vec<HeaderValue> = lines.into_iter().collect();
    lines.iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b", "[..])
}

fn last(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    headers.get_all(name).iter().next_back().cloned()
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &[u8]) {
    // Made of values that were values of headers before.
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert(name, value);
    }
}
