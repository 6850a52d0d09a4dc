//! The rules of `src/lib.rs`, as a test: the domain knows neither the web nor the database.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;

#[test]
fn the_domain_names_neither_the_web_nor_the_database() {
    let domain = concat!(env!("CARGO_MANIFEST_DIR"), "/src/domain");
    let files: Vec<_> = fs::read_dir(domain).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    for file in files {
        let source = fs::read_to_string(&file).unwrap();
        for foreign in ["axum", "rusqlite", "serde", "tokio", "crate::http", "crate::store"] {
            assert!(!source.contains(foreign), "{} names {foreign}", file.display());
        }
    }
}
