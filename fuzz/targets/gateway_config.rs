//! No text on the command line of `msctl gateway` does worse than being refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use msctl::model::standalone::Probing;
use msctl::standalone::lines::{Lines, RouteLine};

fuzz_target!(|text: &str| {
    let parsed: Result<Vec<RouteLine>, _> = text.lines().map(str::parse).collect();
    let Ok(routes) = parsed else { return };
    assert!(routes.iter().all(|route| !route.endpoints.is_empty()));
    let count = routes.len();
    let lines = Lines { routes, ..Lines::default() };
    if let Ok(configuration) = lines.configuration(&Probing::Off) {
        assert_eq!(configuration.services.len(), count);
    }
});
