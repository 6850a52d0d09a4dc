//! Who the client is, where other proxies stand between it and the gateway. Pure.
//!
//! Proxies append the address that they heard from to `X-Forwarded-For`. Read from the right, the
//! list is true for as long as those who wrote it are trusted: the first address that is not one of
//! theirs is the client's, and everything left of it is hearsay.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

use super::headers::X_FORWARDED_FOR;
use crate::model::platform::Network;

/// The other end of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remote {
    pub(super) client: IpAddr,
    /// Who made the connection.
    pub(super) peer: IpAddr,
    /// Whether that is a trusted proxy.
    pub(super) is_proxied: bool,
}

impl Remote {
    pub(super) fn of(headers: &HeaderMap, peer: IpAddr, trusted: &[Network]) -> Self {
        let is_proxied = is_trusted(peer, trusted);
        let client = if is_proxied { client_address(headers, peer, trusted) } else { peer };
        Self { client, peer, is_proxied }
    }
}

/// The address to limit, to log and to tell services. `peer` is the other end of the connection.
fn client_address(headers: &HeaderMap, peer: IpAddr, trusted: &[Network]) -> IpAddr {
    let mut client = peer.to_canonical();
    if !is_trusted(client, trusted) {
        return client;
    }
    let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
    // A line that is no text breaks the chain like an entry that is no address.
    let hops = lines.flat_map(|line| line.to_str().unwrap_or("?").rsplit(','));
    for hop in hops {
        let Some(address) = address(hop.trim()) else { return client };
        client = address;
        if !is_trusted(client, trusted) {
            return client;
        }
    }
    client
}

fn is_trusted(address: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

/// Some proxies write the port, too.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse().or_else(|_| hop.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn networks() -> Vec<Network> {
        ["10.0.0.0/8", "2001:db8::/32"].iter().map(|network| network.parse().unwrap()).collect()
    }

    fn forwarded(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (X_FORWARDED_FOR, HeaderValue::from_str(line).unwrap())).collect()
    }

    fn check(peer: &str, lines: &[&str], expected: &str) {
        let found = client_address(&forwarded(lines), peer.parse().unwrap(), &networks());
        assert_eq!(found.to_string(), expected, "{peer} {lines:?}");
    }

    #[test]
    fn a_peer_that_is_not_trusted_is_the_client_whatever_it_says() {
        check("203.0.113.9", &[], "203.0.113.9");
        check("203.0.113.9", &["6.6.6.6"], "203.0.113.9");
        check("127.0.0.1", &["6.6.6.6, 10.0.0.1"], "127.0.0.1");
        check("::ffff:203.0.113.9", &["6.6.6.6"], "203.0.113.9");
    }

    #[test]
    fn behind_trusted_proxies_the_first_stranger_from_the_right_is_the_client() {
        check("10.0.0.1", &["203.0.113.9"], "203.0.113.9");
        check("10.0.0.1", &["6.6.6.6, 203.0.113.9, 10.1.2.3"], "203.0.113.9");
        check("10.0.0.1", &["6.6.6.6", "203.0.113.9", "10.1.2.3"], "203.0.113.9");
        check("::ffff:10.0.0.1", &["2001:db9::1,2001:db8::7"], "2001:db9::1");
        check("10.0.0.1", &["203.0.113.9:4711"], "203.0.113.9");
        check("10.0.0.1", &["[2001:db9::1]:4711"], "2001:db9::1");
        check("10.0.0.1", &["[2001:db9::1]"], "2001:db9::1");
    }

    #[test]
    fn where_all_are_trusted_or_the_chain_breaks_the_last_known_address_counts() {
        check("10.0.0.1", &[], "10.0.0.1");
        check("10.0.0.1", &["10.9.9.9, 10.1.2.3"], "10.9.9.9");
        check("10.0.0.1", &["6.6.6.6, unknown, 10.1.2.3"], "10.1.2.3");
        check("10.0.0.1", &["6.6.6.6,"], "10.0.0.1");
    }

    fn any_address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<[u8; 4]>().prop_map(IpAddr::from),
            any::<[u8; 3]>().prop_map(|[a, b, c]| IpAddr::from([10, a, b, c])),
            any::<[u8; 16]>().prop_map(|bytes| IpAddr::from(bytes).to_canonical()),
        ]
    }

    proptest! {
        #[test]
        fn what_a_client_says_never_changes_who_it_is(
            said in proptest::collection::vec("[ -~]{0,30}", 0..4),
            client in any_address(),
            hops in proptest::collection::vec(any::<[u8; 3]>(), 0..5),
        ) {
            prop_assume!(!is_trusted(client, &networks()));
            // Each proxy appends whom it heard from; the last one is the peer.
            let mut lines: Vec<String> = said;
            let mut from = client;
            for [a, b, c] in hops {
                lines.push(from.to_string());
                from = IpAddr::from([10, a, b, c]);
            }
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            prop_assert_eq!(client_address(&forwarded(&lines), from, &networks()), client);
        }

        #[test]
        fn any_bytes_give_an_address(lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..4)) {
            let lines = lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok());
            let headers = lines.map(|line| (X_FORWARDED_FOR, line)).collect();
            client_address(&headers, IpAddr::from([10, 0, 0, 1]), &networks());
        }
    }
}
