//! Which generation serves a request while a new one is being tried: the newest or the older ones.

use std::time::Instant;

use http::HeaderMap;
use http::header::COOKIE;

use super::balance::Candidate;
use crate::model::cookie;
use crate::model::traffic::Canary;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subset {
    Newest,
    Older,
}

/// A matching header or cookie decides, else the weight. Where `random` is the hash of something,
/// the same thing always gets the same answer.
pub fn choose(canary: &Canary, headers: &HeaderMap, random: u64) -> Subset {
    if is_asked_for(canary, headers) || random % 100 < u64::from(canary.weight) {
        Subset::Newest
    } else {
        Subset::Older
    }
}

/// The instances of the chosen subset; of the other, if only that has healthy ones or any at all.
pub fn among<'c, C: Candidate>(chosen: Subset, newest: &'c [C], older: &'c [C], now: Instant) -> &'c [C] {
    let (chosen, other) = match chosen {
        Subset::Newest => (newest, older),
        Subset::Older => (older, newest),
    };
    let serves = |subset: &[C]| subset.iter().any(|candidate| candidate.is_healthy(now));
    if chosen.is_empty() || (!serves(chosen) && serves(other)) { other } else { chosen }
}

fn is_asked_for(canary: &Canary, headers: &HeaderMap) -> bool {
    let by_header = canary.header.as_ref().is_some_and(|(name, value)| {
        headers.get_all(name.as_str()).iter().any(|sent| sent.as_bytes() == value.as_bytes())
    });
    by_header
        || canary
            .cookie
            .as_ref()
            .is_some_and(|(name, value)| cookies(headers).any(|pair| pair == (name, value)))
}

/// Names and values. HTTP/2 clients may send several `Cookie` fields (RFC 9113, section 8.2.3).
pub fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let pairs = headers.get_all(COOKIE).iter().flat_map(|field| cookie::pairs(field.as_bytes()));
    pairs.filter_map(|(name, value)| Some((str::from_utf8(name).ok()?, str::from_utf8(value).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::policy::balance::tests::Instance;
    use proptest::prelude::*;

    fn canary() -> Canary {
        Canary {
            weight: 0,
            header: Some(("x-try".into(), "new".into())),
            cookie: Some(("try".into(), "new".into())),
        }
    }

    #[track_caller]
    fn check(headers: &[(&'static str, &str)], expected: Subset) {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        assert_eq!(choose(&canary(), &headers.collect(), 50), expected);
    }

    #[test]
    fn a_matching_header_or_cookie_asks_for_the_newest() {
        check(&[], Subset::Older);
        check(&[("x-try", "new")], Subset::Newest);
        check(&[("x-try", "old")], Subset::Older);
        check(&[("cookie", "a=1; try=new")], Subset::Newest);
        check(&[("cookie", "retry=new")], Subset::Older);
        check(&[("cookie", "try=newer")], Subset::Older);
    }

    #[test]
    fn weights_of_0_and_100_leave_nothing_to_chance() {
        for random in 0..300 {
            let with = |weight| Canary { weight, ..Canary::default() };
            assert_eq!(choose(&with(0), &HeaderMap::new(), random), Subset::Older);
            assert_eq!(choose(&with(100), &HeaderMap::new(), random), Subset::Newest);
        }
    }

    #[test]
    fn a_subset_that_cannot_serve_leaves_it_to_the_other() {
        let now = Instant::now();
        let (fine, ill) = (vec![Instance::new(1, now)], vec![Instance::ill(2, now)]);
        let identity = |of: &[Instance]| of.first().map(Candidate::identity);
        let chosen =
            |subset, newest: &[Instance], older: &[Instance]| identity(among(subset, newest, older, now));
        assert_eq!(chosen(Subset::Newest, &ill, &fine), identity(&fine));
        assert_eq!(chosen(Subset::Older, &fine, &ill), identity(&fine));
        assert_eq!(chosen(Subset::Newest, &[], &ill), identity(&ill));
        assert_eq!(chosen(Subset::Newest, &ill, &[]), identity(&ill));
        assert_eq!(chosen(Subset::Newest, &ill, &[Instance::ill(3, now)]), identity(&ill));
        assert_eq!(chosen(Subset::Newest, &[], &[]), None);
    }

    proptest! {
        #[test]
        fn of_each_hundred_the_weight_goes_to_the_newest(weight in 0_u8..=100) {
            let canary = Canary { weight, ..Canary::default() };
            let newest = (0..100).filter(|&n| choose(&canary, &HeaderMap::new(), n) == Subset::Newest);
            prop_assert_eq!(newest.count(), usize::from(weight));
        }
    }
}
