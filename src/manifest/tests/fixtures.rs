//! Each folder of `tests/fixtures/manifest` is a platform; `expected.txt` in it is what `load` says.

use std::path::PathBuf;

use crate::manifest::{Diagnostics, ManifestError, load};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/manifest").join(name)
}

fn diagnostics(name: &str) -> Diagnostics {
    match load(&folder(name).join("msctl.toml")) {
        Err(ManifestError::Invalid(found)) => found,
        other => panic!("{name}: {other:?}"),
    }
}

fn check(name: &str) {
    let expected = std::fs::read_to_string(folder(name).join("expected.txt")).unwrap();
    assert_eq!(diagnostics(name).to_string(), expected.trim_end(), "in fixture {name}");
}

#[test]
fn unknown_keys_are_refused_with_the_closest_known_one_or_all_of_them() {
    check("unknown-keys");
}

#[test]
fn values_of_another_type_are_refused_with_an_example() {
    check("wrong-types");
    check("wrong-types-in-a-service");
}

#[test]
fn what_is_out_of_range_is_refused_with_its_range() {
    check("out-of-range");
    check("images-kept");
}

#[test]
fn tls_is_all_there_or_not_at_all() {
    check("tls");
}

#[test]
fn a_platform_must_have_a_name_that_is_one() {
    check("platform-not-named");
    check("platform-name");
}

#[test]
fn a_service_name_that_is_not_safe_everywhere_is_refused() {
    check("service-names");
}

#[test]
fn two_services_of_one_name_are_refused_with_both_places() {
    check("names-twice");
}

#[test]
fn a_build_names_a_strategy_with_its_own_keys_and_stays_within_the_service() {
    check("builds");
}

#[test]
fn a_process_needs_a_command() {
    check("processes");
}

#[test]
fn each_route_is_checked_on_its_own() {
    check("routes-one-by-one");
}

#[test]
fn what_a_route_asks_for_beyond_its_path_is_checked_key_by_key() {
    check("policies");
}

#[test]
fn how_instances_are_treated_is_checked_key_by_key() {
    check("traffic");
}

#[test]
fn a_redirect_does_not_lead_to_itself() {
    check("redirects");
}

#[test]
fn hosts_of_routes_are_host_names_and_tell_routes_apart() {
    check("hosts");
}

#[test]
fn routes_that_collide_or_belong_to_the_platform_are_refused_with_both_places() {
    check("routes-together");
}

#[test]
fn a_call_goes_to_another_service_that_is_there() {
    check("calls");
}

#[test]
fn calls_in_a_circle_are_refused_with_the_place_of_each() {
    check("cycles");
}

#[test]
fn databases_are_sqlite_or_none() {
    check("databases");
}

#[test]
fn variables_are_well_named_and_not_those_of_the_platform() {
    check("variables");
}

#[test]
fn images_are_replaced_by_images_only() {
    check("image-aliases");
}

#[test]
fn patterns_name_folders_of_the_platform_that_are_there() {
    check("patterns");
}

#[test]
fn what_is_not_toml_is_shown_where_it_goes_wrong() {
    check("not-toml");
}

#[test]
fn one_unreadable_file_does_not_make_calls_to_it_look_wrong() {
    check("one-bad-file-does-not-blame-the-others");
}

#[test]
fn every_fixture_that_is_there_is_checked_and_has_a_hint_for_each_problem() {
    let own = include_str!("fixtures.rs").to_owned() + include_str!("settings.rs");
    for entry in std::fs::read_dir(folder("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(own.contains(&format!("\"{name}\"")), "nobody checks the fixture {name}");
        if name != "valid" {
            assert!(diagnostics(&name).iter().all(|problem| !problem.hint().is_empty()), "{name}");
        }
    }
}

#[test]
fn problems_are_sorted_by_file_then_line() {
    for name in ["wrong-types-in-a-service", "variables", "routes-together"] {
        let found = diagnostics(name);
        let places: Vec<_> = found.iter().map(|p| (p.file.clone(), p.line, p.column)).collect();
        assert!(places.is_sorted(), "{places:?}");
        assert_eq!(places.len(), found.count());
    }
}
