//! The normal form of a path is its own normal form and leaves nothing to decode or to resolve.

#![no_main]

use libfuzzer_sys::fuzz_target;
use msctl::gateway::path::{literal_segments, matched_segments, normalise, without_prefix};

fuzz_target!(|path: &str| {
    let Ok(normal) = normalise(path) else { return };
    assert!(normal.starts_with('/') && normal.bytes().all(|byte| byte.is_ascii_graphic()));
    assert_eq!(normalise(&normal).as_deref(), Ok(&*normal));
    for forbidden in ["%2f", "%2F", "%5c", "%5C", "%00", "%2e", "%2E", "\\", "#"] {
        assert!(!normal.contains(forbidden));
    }
    assert!(literal_segments(&normal).all(|segment| !matches!(segment, "." | "..")));
    assert!(matched_segments(&normal).all(|segment| !matches!(segment, "" | "." | "..")));
    for count in 0..4 {
        let rest = without_prefix(&normal, count);
        assert!(rest.starts_with('/') && (normal.ends_with(rest) || rest == "/"));
    }
});
