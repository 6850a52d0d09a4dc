//! Whatever is in the files, the answer is a platform or problems that name their places.

use proptest::prelude::*;

use super::{ORDER, PLATFORM, Scratch};
use crate::manifest::ManifestError;

const FULL_SERVICE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/manifest/valid/services/order/service.toml"
));
const FULL_PLATFORM: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/manifest/valid/msctl.toml"));

/// Loads the platform and holds what it says to what every refusal promises.
fn answer(platform: &[u8], service: &[u8]) {
    let scratch = Scratch::new(&[("msctl.toml", platform), ("services/order/service.toml", service)]);
    let Err(error) = scratch.load() else { return };
    let ManifestError::Invalid(found) = error else { panic!("{error:?}") };
    assert!(found.count() > 0);
    for problem in found.iter() {
        assert!(problem.line > 0 && problem.column > 0 && !problem.hint.is_empty(), "{problem:?}");
        assert!(problem.underline.end <= problem.source_line.chars().count() + 1, "{problem:?}");
        assert!(!problem.to_string().chars().any(|c| c.is_control() && c != '\n'), "{problem:?}");
    }
}

/// One change to a text: bytes taken out, put in, or a line doubled.
fn mutated(text: &str, at: usize, taken: usize, put: &[u8]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    let start = at % bytes.len();
    let end = (start + taken).min(bytes.len());
    bytes.splice(start..end, put.iter().copied());
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_refused_and_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        answer(&bytes, ORDER.as_bytes());
        answer(PLATFORM.as_bytes(), &bytes);
    }

    #[test]
    fn random_toml_signs_are_refused_and_never_panic(text in "[\\[\\]{}=.,\"'#\\\\a-c0-2 \t\r\né\u{feff}]{0,80}") {
        answer(text.as_bytes(), ORDER.as_bytes());
        answer(PLATFORM.as_bytes(), text.as_bytes());
    }

    #[test]
    fn a_manifest_with_changes_is_valid_or_refused_and_never_panics(
        at in any::<prop::sample::Index>(),
        taken in 0usize..12,
        put in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'"'), Just(b'['), Just(b'\n'), Just(b'=')], 0..6),
    ) {
        answer(PLATFORM.as_bytes(), &mutated(FULL_SERVICE, at.index(FULL_SERVICE.len()), taken, &put));
        answer(&mutated(FULL_PLATFORM, at.index(FULL_PLATFORM.len()), taken, &put), ORDER.as_bytes());
    }

    #[test]
    fn any_value_at_any_key_is_valid_or_refused_and_never_panics(
        section in prop::sample::select(vec!["service", "build", "run", "run.health", "[routes]", "calls", "database", "process", "configuration", "traffic", "traffic.canary", "traffic.breaker"]),
        key in prop::sample::select(vec!["name", "strategy", "file", "port", "cpus", "memory", "path", "methods", "access", "services", "engine", "command", "timeout", "A", "cors", "redirect", "rate_limit", "retries", "hosts", "balance", "weight", "pause"]),
        value in prop_oneof![
            "\"[^\"\\\\\\x00-\\x1f\\x7f]{0,20}\"", "-?[1-9][0-9]{0,25}", "-?[0-9]\\.[0-9]{1,5}e[1-9][0-9]{0,3}",
            Just("nan".to_owned()), Just("-inf".to_owned()), Just("[[]]".to_owned()), Just("{a = [1]}".to_owned()),
            Just("0xfF".to_owned()), Just("1979-05-27T07:32:00Z".to_owned()),
        ],
    ) {
        answer(PLATFORM.as_bytes(), format!("[{section}]\n{key} = {value}\n").as_bytes());
    }
}
