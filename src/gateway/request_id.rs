//! The id by which one request is found in every log.

use http::HeaderValue;
use uuid::Uuid;

/// Whose word is taken for the id of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Clients: their id is replaced.
    Nobody,
    /// Instances of this platform hand the id on that they were given.
    Inside,
}

const MAX_LENGTH: usize = 128;

pub(super) fn choose(given: Option<&HeaderValue>, trust: Trust) -> HeaderValue {
    match given {
        Some(given) if trust == Trust::Inside && is_id(given) => given.clone(),
        _ => fresh(),
    }
}

fn is_id(value: &HeaderValue) -> bool {
    (1..=MAX_LENGTH).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
}

fn fresh() -> HeaderValue {
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let text = Uuid::now_v7().as_hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).expect("hexadecimal digits and hyphens are visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &str, trust: Trust, kept: bool) {
        let given = HeaderValue::from_str(given).unwrap();
        assert_eq!(choose(Some(&given), trust) == given, kept, "{given:?}");
    }

    #[test]
    fn only_a_well_formed_id_from_inside_is_kept() {
        check("0198-abc", Trust::Inside, true);
        check("0198-abc", Trust::Nobody, false);
        check("", Trust::Inside, false);
        check("a b", Trust::Inside, false);
        check(&"a".repeat(128), Trust::Inside, true);
        check(&"a".repeat(129), Trust::Inside, false);
    }

    #[test]
    fn ids_of_our_own_are_ordered_and_unique() {
        let (first, second) = (choose(None, Trust::Nobody), choose(None, Trust::Nobody));
        assert!(first.as_bytes() < second.as_bytes());
        assert_eq!(Uuid::parse_str(first.to_str().unwrap()).unwrap().get_version_num(), 7);
    }
}
