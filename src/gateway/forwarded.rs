//! What a trusted proxy says about a request's way so far, kept while everything of that kind is
//! taken out, and continued by what the gateway knows.

use std::net::IpAddr;

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

use super::headers::{X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PREFIX, X_FORWARDED_PROTO};

const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Passed on as they are.
const KEPT: [HeaderName; 5] = [X_FORWARDED_HOST, X_FORWARDED_PROTO, X_FORWARDED_PORT, X_REAL_IP, FORWARDED];

#[derive(Debug)]
pub(super) struct Told {
    hops: Vec<HeaderValue>,
    prefix: Option<HeaderValue>,
    kept: [Option<HeaderValue>; 5],
}

impl Told {
    pub(super) fn by(headers: &HeaderMap) -> Self {
        Self {
            hops: headers.get_all(X_FORWARDED_FOR).iter().cloned().collect(),
            prefix: headers.get(X_FORWARDED_PREFIX).cloned(),
            kept: KEPT.map(|name| headers.get(name).cloned()),
        }
    }

    /// After the gateway has said its own. `peer` is who told all this.
    pub(super) fn continue_in(self, headers: &mut HeaderMap, peer: IpAddr) {
        let mut hops = Vec::new();
        for hop in &self.hops {
            hops.extend_from_slice(hop.as_bytes());
            hops.extend_from_slice(b", ");
        }
        hops.extend_from_slice(peer.to_canonical().to_string().as_bytes());
        insert(headers, X_FORWARDED_FOR, &hops);
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
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &[u8]) {
    // Made of values that were values of headers before.
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert(name, value);
    }
}
