//! What is matched, what is authorised and what an instance gets is one and the same path.

use proptest::prelude::*;

use super::row::{declined, get, refused, served};
use super::run::{check, recorded, whole, world};
use crate::gateway::tests::harness::World;
use crate::gateway::tests::wire::Wire;
use crate::gateway::{Limits, path};

const SOURCE: &str = "RFC 3986, section 6.2.2";
const DOTS: &str = "RFC 3986, section 5.2.4";

#[tokio::test]
async fn a_path_has_one_spelling_and_the_instance_sees_that_one() {
    let spellings = [
        ("/orders/%37", "/orders/7"),
        ("/%6frders/7", "/orders/7"),
        ("/%6Frders/7", "/orders/7"),
        ("/orders/./7", "/orders/7"),
        ("/orders/x/../7", "/orders/7"),
        ("/orders/x/%2e%2E/7", "/orders/7"),
        ("/x/../orders/7", "/orders/7"),
        ("/orders/7/.", "/orders/7/"),
        ("/orders/7/..", "/orders/"),
        ("/orders/%7e%2d%2E%5f", "/orders/~-._"),
        ("/orders/%c3%a9", "/orders/%C3%A9"),
        ("/orders/a%20b", "/orders/a%20b"),
        ("/orders/a+b", "/orders/a+b"),
        ("/orders/%2b%3f%23%3b", "/orders/%2B%3F%23%3B"),
        ("/orders/%252e%252e/admin", "/orders/%252e%252e/admin"),
        ("/orders//7", "/orders//7"),
        ("/orders/7;v=1", "/orders/7;v=1"),
        ("/orders/:@!$&'()*,=", "/orders/:@!$&'()*,="),
        ("/orders/...", "/orders/..."),
        ("/orders/.hidden", "/orders/.hidden"),
        // The query is none of a router's business and is handed on to the byte.
        ("/orders?a=/../admin&b=%2e%2e%2f&c=%00&d=\\", "/orders?a=/../admin&b=%2e%2e%2f&c=%00&d=\\"),
        ("/orders??a?b", "/orders??a?b"),
        ("/orders?", "/orders?"),
        ("/orders/%3fa=b", "/orders/%3Fa=b"),
        ("/stripped/deep/7", "/7"),
        ("/stripped/deep", "/"),
        ("/stripped/deep/", "/"),
        ("/stripped/deep//7", "//7"),
        ("/stripped/deep/x/../../deep/7", "/7"),
        // A prefix ends where a segment does.
        ("/ordersx", "/ordersx"),
        ("/privately", "/privately"),
        ("/", "/"),
    ];
    check(
        spellings
            .map(|(sent, seen)| served(SOURCE, "a path", get(sent, ""), &format!("GET {seen} HTTP/1.1\n"))),
    )
    .await;
}

/// A service puts it before its links: to one that begins with `//evil.example` that is another host.
#[tokio::test]
async fn what_was_cut_off_is_told_in_the_words_of_the_rule() {
    // Without a route on `/` these spellings are not ambiguous.
    let rootless = World::adapted(Limits::default(), |platform| {
        for service in platform.services.values_mut() {
            service.routes.retain(|route| route.prefix.as_str() != "/");
        }
    });
    let (world, recorder) = recorded(rootless.await).await;
    for target in [
        "/stripped/deep/7",
        "/%73tripped/./deep/7",
        "//;@evil.example/stripped/deep/7",
        "//stripped;@evil.example/deep/7",
        "/;//stripped///deep;x/7",
    ] {
        assert_eq!(world.send(&get(target, "")).await.status(), 200, "{target}");
        let seen = recorder.take();
        let told = whole(&seen)[0].headers("x-forwarded-prefix");
        assert_eq!(told, ["/stripped/deep"], "{target} (CVE-2020-15129)");
    }
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_refused() {
    let bad = [
        "/..",
        "/../",
        "/../admin",
        "/../../etc/passwd",
        "/orders/../../admin",
        "/%2e%2e/admin",
        "/.%2e/admin",
        "/%2e./admin",
        "/orders/..%2fadmin",
        "/orders%2fadmin",
        "/orders%2Fadmin",
        "/orders/%2e%2e%2fadmin",
        "/orders%5cadmin",
        "/orders%5Cadmin",
        "/orders\\admin",
        "/orders/..\\admin",
        "/orders%00",
        "/orders/%00/admin",
        "/orders/..;/admin",
        "/orders/..;x=1/admin",
        "/orders/.;/admin",
        "/orders/%2e%2e;/admin",
        "/%",
        "/%4",
        "/%zz",
        "/%u002e%u002e/admin",
        "/orders/%-1",
        "/orders/%%32%65",
        "/orders/\u{ff0e}\u{ff0e}%2fadmin",
    ];
    check(bad.map(|target| refused(DOTS, "a path", get(target, ""), 400).code("path_invalid"))).await;
    let overlong: [&str; 6] = ["%c0%ae%c0%ae", "%c0%af", "%e0%80%af", "%f0%80%80%af", "%c1%9c", "%ff%fe"];
    let kept = overlong.map(|bytes| {
        let seen = format!("GET /orders/{}/admin HTTP/1.1\n", bytes.to_ascii_uppercase());
        // Not UTF-8, so nobody may decode it to a dot or a slash; it goes on encoded, as it came.
        served("RFC 3629, section 3", "overlong UTF-8", get(&format!("/orders/{bytes}/admin"), ""), &seen)
    });
    check(kept).await;
}

#[tokio::test]
async fn no_spelling_reaches_what_is_protected() {
    let spellings = [
        "/private",
        "/private/",
        "/private/x",
        "/private?x",
        "/./private",
        "/orders/../private",
        "/orders/x/../../private",
        "/%70rivate",
        "/privat%65",
        "/%70%72%69%76%61%74%65",
        "/orders/%2e%2e/private",
        "/orders/.%2E/private",
        "/private/.",
        "/private/x/..",
        "/x/./../private",
    ];
    check(
        spellings.map(|target| declined(DOTS, "a protected path", get(target, ""), (401, "token_missing"))),
    )
    .await;
    let doubtful = [
        "//private",
        "///private",
        "/;/private",
        "/private;x",
        "/private;x/y",
        "/;x=/private",
        "//private;x",
        "/orders;v=1/7",
    ];
    check(
        doubtful
            .map(|target| refused(DOTS, "an ambiguous path", get(target, ""), 400).code("path_ambiguous")),
    )
    .await;
    let absolute = ["http://a/private", "http://a/orders/../private", "http://a/%70rivate"];
    check(absolute.map(|target| declined(DOTS, "a protected URL", get(target, ""), (401, "token_missing"))))
        .await;
}

#[tokio::test]
async fn a_header_does_not_replace_the_path() {
    let lines = "X-Original-URL: /private\r\nX-Rewrite-URL: /private\r\nX-HTTP-Method-Override: DELETE\r\nX-Forwarded-Path: /private\r\nX-Forwarded-Uri: /private\r\n";
    let seen = "GET /orders HTTP/1.1\nx-original-url: /private\nx-rewrite-url: /private\nx-http-method-override: DELETE\n";
    check([served(SOURCE, "headers that some frameworks route by", get("/orders", lines), seen)]).await;
}

/// Targets with everything in them that was ever misread.
fn target() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("private"),
        Just("admin"),
        Just("orders"),
        Just("."),
        Just(".."),
        Just("/"),
        Just("/"),
        Just("/"),
        Just("//"),
        Just("%2e"),
        Just("%2E%2e"),
        Just("%2f"),
        Just("%5c"),
        Just("\\"),
        Just(";"),
        Just(";x"),
        Just("..;"),
        Just("%00"),
        Just("%70rivate"),
        Just("%3b"),
        Just("%25"),
        Just("%252e"),
        Just("%c0%ae"),
        Just("\u{e9}"),
        Just("?"),
        Just("~"),
        Just("%"),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// How the most careless of services reads a path: everything decoded, twice over, backslashes for
/// slashes, parameters and empty segments dropped, dots resolved.
fn carelessly(path: &str) -> Vec<String> {
    let path = path.split('?').next().unwrap();
    let mut kept: Vec<String> = Vec::new();
    for segment in path.replace('\\', "/").split('/') {
        match segment.split(';').next().unwrap() {
            "" | "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment.to_ascii_lowercase()),
        }
    }
    kept
}

proptest! {
    #[test]
    fn the_normaliser_never_panics_and_leaves_nothing_to_decode(target in ".{0,40}") {
        if let Ok(normal) = path::normalise(&target) {
            prop_assert!(normal.starts_with('/') && normal.is_ascii());
            prop_assert!(!normal.contains(['\\', '#', '\0']));
        }
    }

    #[test]
    fn the_normal_form_is_read_alike_by_the_careful_and_the_careless(target in target()) {
        let target = target.split('?').next().unwrap();
        let Ok(normal) = path::normalise(target) else { return Ok(()) };
        prop_assert_eq!(path::normalise(&normal), Ok(normal.clone()));
        for forbidden in ["%2F", "%2f", "%5C", "%5c", "%00", "%2e", "%2E", "\\"] {
            prop_assert!(!normal.contains(forbidden), "{} has {}", normal, forbidden);
        }
        for segment in path::literal_segments(&normal) {
            prop_assert!(!matches!(segment, "." | ".."), "{}", normal);
        }
        let matched: Vec<String> = path::matched_segments(&normal).map(str::to_ascii_lowercase).collect();
        prop_assert_eq!(matched, carelessly(&normal));
    }

    #[test]
    fn what_is_left_of_a_path_is_its_end(target in target(), count in 0_usize..4) {
        let target = target.split('?').next().unwrap();
        let Ok(normal) = path::normalise(target) else { return Ok(()) };
        let rest = path::without_prefix(&normal, count);
        prop_assert!(rest.starts_with('/') && (rest == "/" || normal.ends_with(rest)));
    }
}

/// The end-to-end half of it: targets at random, over the wire, against a careless service.
#[tokio::test]
async fn no_target_at_random_gets_a_careless_service_to_serve_what_is_protected() {
    use proptest::strategy::ValueTree;
    let (world, recorder) = world().await;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let targets = target();
    let mut reached = 0;
    for _ in 0..500 {
        let target = targets.new_tree(&mut runner).unwrap().current();
        let mut wire = Wire::connect(world.public).await;
        wire.write(get(&target, "")).await;
        let status = wire.read().await.map_or(400, |answer| answer.status());
        for request in whole(&recorder.take()) {
            let path = request.head.split(' ').nth(1).unwrap();
            let first = carelessly(path).first().cloned().unwrap_or_default();
            assert!(
                status == 200 && !matches!(&*first, "private" | "admin"),
                "{target} went through as {path}"
            );
            reached += 1;
        }
    }
    assert!(reached > 50, "only {reached} targets got through: they prove little");
}
