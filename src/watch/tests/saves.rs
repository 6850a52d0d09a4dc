//! What editors do, and what is no save.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use super::stage::{Stage, shown};

#[tokio::test]
async fn a_save_is_reported_with_its_service_and_path() {
    let stage = Stage::new(&[]).await;
    stage.write("services/order/src/main.rs", "fn main() {}");
    let change = stage.change().await;
    assert_eq!((shown(&change), stage.paths(&change)), ("order".into(), "services/order/src/main.rs".into()));
    let touch = &change.services[&"order".parse().unwrap()];
    assert!(change.detected <= touch.first && touch.first <= touch.last && touch.last <= change.settled);
}

#[tokio::test]
async fn a_file_that_an_editor_puts_in_the_place_of_another_stays_watched() {
    let stage = Stage::new(&[]).await;
    for number in 0..3 {
        let (beside, file) = (stage.order("src/.main.rs.tmp"), stage.order("src/main.rs"));
        fs::write(&beside, format!("{number}")).unwrap();
        fs::rename(&beside, &file).unwrap();
        assert_eq!(shown(&stage.change_at(&file).await), "order");
    }
}

#[tokio::test]
async fn moving_the_old_file_aside_first_is_a_save_too() {
    let stage = Stage::new(&[]).await;
    for number in 0..3 {
        let (aside, file) = (stage.order("src/main.rs~"), stage.order("src/main.rs"));
        fs::rename(&file, &aside).unwrap();
        fs::write(&file, format!("{number}")).unwrap();
        fs::remove_file(&aside).unwrap();
        assert_eq!(stage.paths(&stage.change().await), "services/order/src/main.rs");
    }
}

#[tokio::test]
async fn removing_a_file_is_a_change() {
    let stage = Stage::new(&[]).await;
    fs::remove_file(stage.order("src/main.rs")).unwrap();
    assert_eq!(stage.paths(&stage.change().await), "services/order/src/main.rs");
}

#[tokio::test]
async fn what_is_no_source_is_not_even_looked_at() {
    let stage = Stage::new(&[
        "services/order/.gitignore",
        "services/order/node_modules/a/index.js",
        "services/order/target/CACHEDIR.TAG",
        ".gitignore",
    ])
    .await;
    stage.write("services/order/.gitignore", "*.log\n/out\n");
    stage.change().await;
    for path in
        ["node_modules/a/index.js", "target/debug/order", ".git/HEAD", "out/made.rs", "__pycache__/a.pyc"]
    {
        stage.write(&format!("services/order/{path}"), "x");
    }
    for path in ["debug.log", "src/.main.rs.swp", "src/main.rs~", "app"] {
        stage.write(&format!("services/order/{path}"), "x");
    }
    for path in [".msctl/cache/x", "README.md", "docs/a.md", "services/.cache/x"] {
        stage.write(path, "x");
    }
    stage.check_unnoticed().await;
}

#[tokio::test]
async fn reading_is_no_change() {
    let stage = Stage::new(&[]).await;
    for _ in 0..100 {
        fs::read(stage.order("src/main.rs")).unwrap();
        fs::read_dir(stage.order("src")).unwrap().for_each(drop);
    }
    stage.check_unnoticed().await;
}

#[tokio::test]
async fn names_may_hold_anything_and_change_nothing_but_their_case() {
    let stage = Stage::new(&[]).await;
    for name in [&b"caf\xe9.rs"[..], b"a\nb.rs", &[b'x'; 255], b"-rf", b" "] {
        let path = stage.order("src").join(OsStr::from_bytes(name));
        stage.check_watched(&path).await;
    }
    stage.check_watched(&stage.order("src").join(OsStr::from_bytes(b"fold\xe9r\n")).join("inside")).await;

    fs::rename(stage.order("src/main.rs"), stage.order("src/Main.rs")).unwrap();
    let change = stage.change().await;
    assert_eq!(stage.paths(&change), "services/order/src/Main.rs, services/order/src/main.rs");
}
