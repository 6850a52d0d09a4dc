//! Files that are not what a manifest should be: encodings, line ends, sizes, depths.

use std::time::{Duration, Instant};

use super::{ORDER, PLATFORM, Scratch};
use crate::manifest::ManifestError;

#[test]
fn a_byte_order_mark_is_ignored_and_moves_no_column() {
    let scratch = Scratch::with_service(format!("\u{feff}{ORDER}").as_bytes());
    assert_eq!(scratch.load().unwrap().services.len(), 1);
    let scratch = Scratch::with_service(format!("\u{feff}x = 1\n{ORDER}").as_bytes());
    insta::assert_snapshot!(scratch.refusal(), @r#"
    services/order/service.toml:1:1: unknown key "x" before any section
      1 | x = 1
        | ^
    hint: the sections of this file: [service], [build], [process], [run], [routes], [traffic], [calls], [database], [configuration]
    "#);
}

#[test]
fn windows_line_ends_change_neither_places_nor_excerpts() {
    let unix = format!("{ORDER}[run]\nport = 0\nx = 1\n");
    let windows = unix.replace('\n', "\r\n");
    assert_eq!(
        Scratch::with_service(windows.as_bytes()).refusal(),
        Scratch::with_service(unix.as_bytes()).refusal()
    );
}

#[test]
fn old_mac_line_ends_are_refused() {
    let scratch = Scratch::with_service(ORDER.replace('\n', "\r").as_bytes());
    insta::assert_snapshot!(scratch.refusal(), @r#"
    services/order/service.toml:1:11: this is not TOML: carriage return must be followed by newline
      1 | [service]�name = "order"�[build]�strategy = "dockerfile"
        |           ^
    hint: save the file with newlines at the ends of its lines
    "#);
}

#[test]
fn tabs_count_as_one_column_and_do_not_shift_the_underline() {
    let scratch = Scratch::with_service(format!("{ORDER}[run]\n\tport\t=\t0\t# zero\n").as_bytes());
    insta::assert_snapshot!(scratch.refusal(), @r#"
    services/order/service.toml:6:9: port in [run] is 0, but must be from 1 to 65535
      6 |     port    =    0    # zero
        |                  ^
    hint: for example port = 8080
    "#);
}

#[test]
fn columns_count_characters_not_bytes() {
    let scratch =
        Scratch::with_service(format!("{ORDER}[run]\nhealth = {{ path = \"/é\", x = 1 }}\n").as_bytes());
    insta::assert_snapshot!(scratch.refusal(), @r#"
    services/order/service.toml:6:19: path in [run.health] is "/é", which is not the path of a request
      6 | health = { path = "/é", x = 1 }
        |                   ^^^^
    hint: for example path = "/health/ready"

    services/order/service.toml:6:25: unknown key "x" in [run.health]
      6 | health = { path = "/é", x = 1 }
        |                         ^
    hint: the keys of [run.health]: path, start_period, timeout
    "#);
}

#[test]
fn what_is_not_utf_8_is_refused_where_it_stands() {
    let text = [ORDER.as_bytes(), b"context = \"caf\xe9\"\n"].concat();
    insta::assert_snapshot!(Scratch::with_service(&text).refusal(), @r#"
    services/order/service.toml:5:15: the text is not UTF-8 here
      5 | context = "caf�"
        |               ^
    hint: save the file as UTF-8
    "#);
}

#[test]
fn characters_that_steer_a_terminal_never_reach_it() {
    let scratch = Scratch::with_service(format!("{ORDER}# \u{1b}[2J\nx\u{202e} = 1\n").as_bytes());
    let refusal = scratch.refusal();
    assert!(!refusal.contains(['\u{1b}', '\u{202e}']), "{refusal}");
}

#[test]
fn an_empty_file_says_what_it_needs() {
    insta::assert_snapshot!(Scratch::with_service(b"").refusal(), @r#"
    services/order/service.toml:1:1: there is no name in [service]
    hint: add name = "order" to [service]

    services/order/service.toml:1:1: there is no strategy in [build]
    hint: add strategy = "pack", "dockerfile" or "image" to [build]
    "#);
}

#[test]
fn a_file_of_100_megabytes_is_refused_without_being_read() {
    let scratch = Scratch::with_service(b"");
    let file = std::fs::File::create(scratch.root().join("services/order/service.toml")).unwrap();
    file.set_len(100 << 20).unwrap();
    let start = Instant::now();
    insta::assert_snapshot!(scratch.refusal(), @r#"
    services/order/service.toml:1:1: the file has 104857600 bytes, more than the 1 MiB of a manifest
    hint: is this the right file? keep data elsewhere
    "#);
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn nesting_without_end_is_refused_and_does_not_exhaust_the_stack() {
    let bombs = [
        format!("a = {}", "[".repeat(1_000_000)),
        format!("a = {}", "{a=".repeat(300_000)),
        format!("{}a = 1", "a.".repeat(500_000)),
        format!("[{}a]", "a.".repeat(500_000)),
    ];
    for bomb in bombs {
        let refusal = Scratch::with_service(bomb.as_bytes()).refusal();
        assert!(refusal.ends_with("hint: nest less: no manifest needs more than three levels"), "{refusal}");
    }
}

#[test]
fn a_megabyte_of_garbage_is_refused_with_a_text_that_a_person_can_read() {
    let garbage = ["x\n", "[a]\n", "=", "a = [1,", "\"", "[[routes]]\npath=\"/a\"\n"];
    for unit in garbage {
        let refusal = Scratch::with_service(unit.repeat((1 << 20) / unit.len()).as_bytes()).refusal();
        assert!(refusal.len() < 64 * 1024, "{unit:?} makes {} bytes", refusal.len());
        assert!(refusal.lines().all(|line| line.chars().count() < 500));
    }
}

#[test]
fn more_problems_than_anybody_reads_are_counted() {
    let keys: Vec<String> = (0..250).map(|index| format!("key{index} = 1")).collect();
    let text = format!("{ORDER}{}\n", keys.join("\n"));
    let error = Scratch::with_service(text.as_bytes()).load().unwrap_err();
    assert!(error.to_string().ends_with("\n\nand 150 more"), "{error}");
    assert!(matches!(error, ManifestError::Invalid(found) if found.count() == 250));
}

#[test]
fn a_long_line_is_cut_to_fit_80_columns() {
    let line = format!("services = [{}\"order\"]", "\"order\", ".repeat(200));
    let refusal = Scratch::with_service(format!("{ORDER}[calls]\n{line}\n").as_bytes()).refusal();
    assert!(refusal.lines().filter(|line| line.contains(" | ")).all(|line| line.chars().count() <= 80));
}

#[test]
fn a_manifest_that_is_not_there_is_unreadable() {
    let scratch = Scratch::new(&[]);
    let error = scratch.load().unwrap_err();
    assert_eq!(error.to_string(), format!("read {}", scratch.root().join("msctl.toml").display()));
    assert!(matches!(&error, ManifestError::Unreadable { .. }));
    assert_eq!(error.hint(), Some("check that the file is there and that you may read it"));
}

#[test]
fn a_folder_in_place_of_a_file_is_unreadable() {
    let scratch = Scratch::new(&[("msctl.toml", PLATFORM.as_bytes())]);
    std::fs::create_dir_all(scratch.root().join("services/order/service.toml")).unwrap();
    insta::assert_snapshot!(scratch.refusal(), @r#"
    msctl.toml:1:1: "services/order/service.toml" cannot be read: it is not a regular file
      1 | [platform]
        | ^^^^^^^^^^
    hint: check that it is a file and that you may read it
    "#);
}
