//! The id by which one request is found in every log.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use uuid::Uuid;

/// Whose word is taken for the id of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Clients: their id is replaced.
    Nobody,
    /// Instances of this platform, and proxies that are trusted, hand the id on that they were given.
    Inside,
}

const MAX_LENGTH: usize = 128;

pub(super) fn choose(given: Option<&HeaderValue>, trust: Trust) -> HeaderValue {
    match given {
        Some(given) if trust != Trust::Nobody && is_id(given) => given.clone(),
        _ => fresh(),
    }
}

fn is_id(value: &HeaderValue) -> bool {
    (1..=MAX_LENGTH).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
}

fn fresh() -> HeaderValue {
    let id = Uuid::from_u64_pair(in_time_order(), 0b10 << 62 | fastrand::u64(..) >> 2);
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let text = id.as_hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).expect("hexadecimal digits and hyphens are visible ASCII")
}

thread_local! {
    static LAST: Cell<u64> = const { Cell::new(0) };
}

/// The first half of a UUID of version 7: 48 bits of milliseconds, and their fraction in place of
/// random bits (RFC 9562, section 6.2, method 3). Grows with every call on a thread.
fn in_time_order() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let fraction = u64::from(now.subsec_nanos() % 1_000_000) * 4096 / 1_000_000;
    let millis = now.as_secs() * 1000 + u64::from(now.subsec_millis());
    let time = LAST.with(|last| {
        let time = (millis << 12 | fraction).max(last.get() + 1);
        last.set(time);
        time
    });
    (time >> 12) << 16 | 0x7000 | (time & 0xfff)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &str, trust: Trust, kept: bool) {
        let given = HeaderValue::from_str(given).unwrap();
        assert_eq!(choose(Some(&given), trust) == given, kept, "{given:?}");
    }

    #[test]
    fn only_a_well_formed_id_from_inside_or_from_a_trusted_proxy_is_kept() {
        check("0198-abc", Trust::Inside, true);
        check("0198-abc", Trust::Nobody, false);
        check("", Trust::Inside, false);
        check("a b", Trust::Inside, false);
        check(&"a".repeat(128), Trust::Inside, true);
        check(&"a".repeat(129), Trust::Inside, false);
    }

    #[test]
    fn ids_of_our_own_are_ordered_and_unique() {
        let ids: Vec<HeaderValue> = (0..1000).map(|_| choose(None, Trust::Nobody)).collect();
        assert!(ids.is_sorted_by(|a, b| a.as_bytes() < b.as_bytes()));
        for id in ids {
            let id = Uuid::parse_str(id.to_str().unwrap()).unwrap();
            assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
            let made = id.get_timestamp().unwrap().to_unix().0;
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            assert!(made.abs_diff(now) <= 5, "{id}");
        }
    }
}
