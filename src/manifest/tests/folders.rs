//! Which folders become services, and that none outside of the platform does.

use std::os::unix::fs::symlink;

use super::{ORDER, PLATFORM, Scratch};

fn names(scratch: &Scratch) -> Vec<String> {
    scratch.load().unwrap().services.keys().map(ToString::to_string).collect()
}

fn service(name: &str) -> Vec<u8> {
    ORDER.replace("order", name).into_bytes()
}

fn platform(services: &str) -> Vec<u8> {
    format!("{PLATFORM}services = {services}\n").into_bytes()
}

#[test]
fn folders_without_a_service_file_and_hidden_ones_are_passed_over() {
    let scratch = Scratch::with_service(ORDER.as_bytes());
    scratch.write("services/notes/README", b"");
    scratch.write("services/file.txt", b"");
    scratch.write("services/.hidden/service.toml", &service("hidden"));
    assert_eq!(names(&scratch), ["order"]);
}

#[test]
fn a_star_stands_for_any_component_of_a_path() {
    let scratch = Scratch::new(&[
        ("msctl.toml", &platform("[\"./teams/*/services/*\", \"single\"]")),
        ("teams/a/services/cart/service.toml", &service("cart")),
        ("teams/b/services/mail/service.toml", &service("mail")),
        ("teams/b/other/lost/service.toml", &service("lost")),
        ("single/service.toml", &service("single")),
    ]);
    assert_eq!(names(&scratch), ["cart", "mail", "single"]);
}

#[test]
fn a_folder_that_two_patterns_name_is_one_service() {
    let scratch = Scratch::new(&[
        ("msctl.toml", &platform("[\"services/*\", \"services/order\", \"./services/../services\"]")),
        ("services/order/service.toml", ORDER.as_bytes()),
    ]);
    insta::assert_snapshot!(scratch.refusal(), @r#"
    msctl.toml:3:45: "./services/../services" is not a plain path below the platform's folder
      3 | …s/*", "services/order", "./services/../services"]
        |                          ^^^^^^^^^^^^^^^^^^^^^^^^
    hint: write a path relative to msctl.toml, without ".."
    "#);
    scratch.write("msctl.toml", &platform("[\"services/*\", \"./services/order\"]"));
    assert_eq!(names(&scratch), ["order"]);
}

#[test]
fn a_service_may_be_called_otherwise_than_its_folder() {
    let scratch = Scratch::new(&[
        ("msctl.toml", PLATFORM.as_bytes()),
        ("services/folder/service.toml", &service("cart")),
    ]);
    assert_eq!(names(&scratch), ["cart"]);
}

/// A folder outside of the platform that would be a service.
fn outside() -> Scratch {
    Scratch::new(&[("order/service.toml", ORDER.as_bytes())])
}

fn refusal_without_paths(scratch: &Scratch, outside: &Scratch) -> String {
    let path = outside.root().canonicalize().unwrap();
    scratch.refusal().replace(path.to_str().unwrap(), "OUTSIDE")
}

#[test]
fn a_link_to_a_folder_outside_is_refused() {
    let outside = outside();
    let scratch = Scratch::new(&[("msctl.toml", PLATFORM.as_bytes()), ("services/README", b"")]);
    symlink(outside.root().join("order"), scratch.root().join("services/order")).unwrap();
    insta::assert_snapshot!(refusal_without_paths(&scratch, &outside), @r#"
    msctl.toml:1:1: "services/order" leads out of the platform's folder, to "OUTSIDE/order"
      1 | [platform]
        | ^^^^^^^^^^
    hint: replace the link by the folder itself
    "#);
}

#[test]
fn a_link_to_a_service_file_outside_is_refused() {
    let outside = outside();
    let scratch = Scratch::new(&[("msctl.toml", PLATFORM.as_bytes()), ("services/order/README", b"")]);
    let file = scratch.root().join("services/order/service.toml");
    symlink(outside.root().join("order/service.toml"), file).unwrap();
    insta::assert_snapshot!(refusal_without_paths(&scratch, &outside), @r#"
    msctl.toml:1:1: "services/order/service.toml" leads out of the platform's folder, to "OUTSIDE/order/service.toml"
      1 | [platform]
        | ^^^^^^^^^^
    hint: replace the link by the folder itself
    "#);
}

#[test]
fn a_link_to_a_parent_of_services_outside_is_not_even_listed() {
    let outside = outside();
    let scratch = Scratch::new(&[("msctl.toml", &platform("[\"linked/*\"]"))]);
    symlink(outside.root(), scratch.root().join("linked")).unwrap();
    insta::assert_snapshot!(refusal_without_paths(&scratch, &outside), @r#"
    msctl.toml:3:13: "linked" leads out of the platform's folder, to "OUTSIDE"
      3 | services = ["linked/*"]
        |             ^^^^^^^^^^
    hint: replace the link by the folder itself
    "#);
}

#[test]
fn links_within_the_platform_broken_links_and_loops_do_no_harm() {
    let scratch = Scratch::with_service(ORDER.as_bytes());
    symlink(scratch.root().join("services/order"), scratch.root().join("services/again")).unwrap();
    symlink("/nowhere/at/all", scratch.root().join("services/broken")).unwrap();
    symlink("loop", scratch.root().join("services/loop")).unwrap();
    assert_eq!(names(&scratch), ["order"]);
}
