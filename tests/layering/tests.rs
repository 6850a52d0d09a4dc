//! The test itself, and the proof that it would notice.

use std::collections::{BTreeMap, BTreeSet};

use super::arrows::{mentions_of, rooms_in};
use super::check::{Source, complaints, cycle, read_sources};
use super::table::{Confined, Free, RULES, Room, Rules};
use super::tokens::tokens;

#[test]
fn every_import_follows_the_table() {
    let sources = read_sources();
    assert!(sources.len() > 50, "the sources were not found");
    let found = complaints(&sources, &RULES);
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// Three rooms: `top` may import `middle`, which may import nothing.
const SMALL: Rules = Rules {
    rooms: &[
        Room { name: "top", imports: &["middle"], purpose: "decides" },
        Room { name: "middle", imports: &[], purpose: "does" },
    ],
    confined: &[Confined { name: "axum", places: &["src/top/http"], because: "it is the edge" }],
    free: &[Free { place: "src/middle", of: &["tokio"], because: "it is pure" }],
};

/// What is said of a `middle` with this text, beside a `top` as it should be.
fn check(path: &str, text: &str, expected: &[&str]) {
    let top = Source::new("src/top/mod.rs", "use crate::middle;");
    let other = Source::new(path, text);
    assert_eq!(complaints(&[top, other], &SMALL), expected, "{text}");
}

#[test]
fn an_arrow_that_is_not_in_the_table_is_found_with_its_line() {
    check(
        "src/middle/deep/part.rs",
        "use std::fmt;\nuse crate::top::Thing;",
        &[
            "src/middle/deep/part.rs:2: middle must not import top (middle: does)",
            "a cycle of rooms: middle -> top -> middle",
        ],
    );
}

#[test]
fn an_import_is_found_wherever_it_hides() {
    for (text, expected) in [
        ("use crate::{a::{x, y}, b, c::{self, z}};", vec!["a", "b", "c"]),
        ("pub use crate::{\n    a,\n    b as other,\n};", vec!["a", "b"]),
        ("fn f() -> u8 { crate::a::g() + 1 }", vec!["a"]),
        ("fn f(it: &dyn crate :: a :: It) {}", vec!["a"]),
        ("pub(in crate::a) struct S; pub(crate) fn f() {}", vec!["a"]),
        ("use crate::*; use crate::{self as root};", vec!["lib", "lib"]),
        ("impl<'a> F<'a> for char { const C: char = '\\''; type X = crate::a::X; }", vec!["a"]),
    ] {
        let found: Vec<String> = rooms_in("src/r/f.rs", &tokens(text)).into_iter().map(|m| m.name).collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn super_is_an_import_only_where_it_leaves_the_room() {
    for (path, text, expected) in [
        ("src/r/mod.rs", "use super::a::X;", vec!["a"]),
        ("src/r/f.rs", "use super::sibling;", vec![]),
        ("src/r/f.rs", "use super::super::a;", vec!["a"]),
        ("src/r/f.rs", "mod tests { use super::super::sibling; }", vec![]),
        ("src/r/f.rs", "mod tests { use super::super::super::{a, b}; }", vec!["a", "b"]),
        ("src/r/f/g.rs", "use super::super::sibling;", vec![]),
    ] {
        let found: Vec<String> = rooms_in(path, &tokens(text)).into_iter().map(|m| m.name).collect();
        assert_eq!(found, expected, "{path}: {text}");
    }
}

#[test]
fn a_name_in_a_comment_or_a_literal_imports_nothing() {
    for text in [
        "// use crate::a;\n/// [`crate::a`]\n//! crate::a",
        "/* crate::a /* crate::b */ crate::c */",
        "const A: &str = \"crate::a \\\" crate::b\";",
        "const A: &str = r#\"crate::a \" crate::b\"#;",
        "const A: &[u8] = b\"crate::a\"; const Q: char = '\"'; const B: &[u8] = br\"crate::a\";",
    ] {
        assert_eq!(rooms_in("src/r/f.rs", &tokens(text)), [], "{text}");
    }
}

#[test]
fn a_room_that_is_missing_from_the_table_is_found() {
    check("src/attic.rs", "", &["src/attic.rs: the room attic is not in the table"]);
}

#[test]
fn outside_names_are_found_where_they_have_no_place() {
    check("src/top/http/a.rs", "use axum::Router;", &[]);
    check(
        "src/top/httpx.rs",
        "use axum::Router;",
        &["src/top/httpx.rs:1: axum has no place here (it is the edge)"],
    );
    check(
        "src/middle/mod.rs",
        "#[tokio::test]\nfn f() {}",
        &["src/middle/mod.rs:1: tokio has no place here (it is pure)"],
    );
}

#[test]
fn macros_and_calls_are_told_from_words_like_them() {
    let count = |name: &str, text: &str| mentions_of(name, &tokens(text)).len();
    assert_eq!(count("println!", "println(1); std::println!(\"\");"), 1);
    assert_eq!(count("process::exit", "std::process::exit(1); process::exit_code()"), 1);
}

#[test]
fn a_table_that_points_up_or_allows_what_nobody_needs_is_refused() {
    const UPWARDS: Rules = Rules {
        rooms: &[
            Room { name: "top", imports: &["middle"], purpose: "" },
            Room { name: "middle", imports: &["top"], purpose: "" },
        ],
        confined: &[],
        free: &[],
    };
    let top = Source::new("src/top.rs", "use crate::middle;");
    assert_eq!(
        complaints(&[top], &UPWARDS),
        ["the table: middle -> top does not point down", "the table: nothing uses middle -> top"]
    );
}

#[test]
fn a_cycle_is_shown_as_the_way_around_it() {
    let arrow = |to: &str| BTreeSet::from([to.to_owned()]);
    let mut arrows = BTreeMap::from([("a", arrow("b")), ("b", arrow("c")), ("c", arrow("d"))]);
    assert_eq!(cycle(&arrows), None);
    arrows.insert("d", arrow("b"));
    assert_eq!(cycle(&arrows).unwrap().join(" "), "b c d b");
}
