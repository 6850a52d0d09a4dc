//! What somebody may have meant.

use crate::model::name::{MAX_NAME_LENGTH, ServiceName};

/// Longer texts are not slips of the finger, and comparing them costs their product.
const MAX_COMPARED: usize = 64;

/// The candidate closest to `text`, if it is close enough to be a slip.
pub fn closest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if text.is_empty() || text.len() > MAX_COMPARED {
        return None;
    }
    let folded = text.to_lowercase();
    let distance = |candidate: &str| strsim::damerau_levenshtein(&folded, &candidate.to_lowercase());
    candidates
        .into_iter()
        .map(|candidate| (distance(candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len().max(text.len()) / 3).max(1))
        .min()
        .map(|(_, candidate)| candidate)
}

/// `did you mean "replicas"?`, or else every choice there is.
pub fn did_you_mean(text: &str, what: &str, candidates: &[&str]) -> String {
    match closest(text, candidates.iter().copied()) {
        Some(candidate) => format!("did you mean {candidate:?}?"),
        None => format!("{what}: {}", candidates.join(", ")),
    }
}

/// A valid name that resembles `text`, or an example where nothing of it can be kept.
pub fn similar_name(text: &str) -> String {
    let lower = text.chars().take(MAX_NAME_LENGTH * 2).map(|c| c.to_ascii_lowercase());
    let kept: String =
        lower.map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' }).collect();
    let words: Vec<&str> = kept.split('-').filter(|word| !word.is_empty()).collect();
    let name = words.join("-");
    let name = name.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let name = name.get(..MAX_NAME_LENGTH).unwrap_or(name).trim_end_matches('-');
    let candidates = [name.to_owned(), format!("{name}-service")];
    let valid = candidates.into_iter().find(|candidate| candidate.parse::<ServiceName>().is_ok());
    valid.unwrap_or_else(|| "order".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let keys = ["port", "replicas", "memory"];
        assert_eq!(closest("replica", keys), Some("replicas"));
        assert_eq!(closest("PORT", keys), Some("port"));
        assert_eq!(closest("prot", keys), Some("port"));
        assert_eq!(closest("colour", keys), None);
        assert_eq!(closest("", keys), None);
        assert_eq!(closest(&"port".repeat(100_000), keys), None);
    }

    #[test]
    fn a_similar_name_is_always_a_name() {
        assert_eq!(similar_name("Order Service"), "order-service");
        assert_eq!(similar_name("a;rm -rf /"), "a-rm-rf");
        assert_eq!(similar_name("auth"), "auth-service");
        for text in ["--help", "${jndi}", "{{7*7}}", "саfe", "auth", "", "123"] {
            assert!(similar_name(text).parse::<ServiceName>().is_ok(), "{text}");
        }
        assert_eq!(similar_name(&"x".repeat(300)), "x".repeat(40));
    }
}
