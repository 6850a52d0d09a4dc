//! Nobody tells of anything; it is looked at.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use super::stage::{Stage, files, layout, options, shown};
use crate::watch::{Method, Options, Pace, Report, Watch};

/// Looks as often as it can.
fn polling() -> Options {
    Options { method: Method::Polling, look_every: Duration::from_millis(20), ..options() }
}

#[tokio::test]
async fn a_save_is_found_by_looking() {
    let stage = Stage::with(&["services/order/.gitignore"], polling()).await;
    for path in ["services/order/src/main.rs", "services/order/src/a/b/c.rs", "services/order/src/a/b/c.rs"] {
        stage.check_watched(&stage.root.join(path)).await;
    }
    stage.write("services/order/.gitignore", "*.log");
    assert_eq!(shown(&stage.change_at(&stage.order(".gitignore")).await), "order");
    for path in ["services/order/debug.log", "services/order/node_modules/a.js", "README.md"] {
        stage.write(path, "x");
    }
    stage.check_unnoticed().await;
}

#[tokio::test]
async fn folders_links_and_manifests_are_found_too() {
    let stage = Stage::with(&[], polling()).await;
    symlink("..", stage.order("src/up")).unwrap();
    stage.change_at(&stage.order("src/up")).await;
    for path in ["msctl.toml", "services/order/service.toml", "services/new/service.toml"] {
        stage.write(path, "x");
        assert_eq!(shown(&stage.change_at(&stage.root.join(path)).await), "+manifest");
    }
    stage.write(".gitignore", "x");
    assert_eq!(shown(&stage.change_at(&stage.root.join(".gitignore")).await), "mail order");
    for folder in ["store/services/order", "store"] {
        fs::remove_dir_all(stage.root.with_file_name(folder)).unwrap();
        while !shown(&stage.change().await).contains("order +manifest") {}
        stage.check_watched(&stage.order("src/main.rs")).await;
    }
}

#[tokio::test]
async fn what_is_followed_next_is_looked_at() {
    let (_folder, root) = files(&["services/new/src/main.rs"]);
    let watch = Watch::start(layout(&root, &["order"]), polling()).unwrap();
    let next = async || match watch.next().await {
        Some(Report::Change(change)) => shown(&change),
        other => panic!("{other:?}"),
    };
    assert_eq!(next().await, "order +manifest");
    watch.follow(layout(&root, &["order", "new"]));
    assert_eq!(next().await, "new");
    fs::write(root.join("services/new/src/main.rs"), "1").unwrap();
    assert_eq!(next().await, "new");
}

#[tokio::test]
async fn a_burst_is_one_change_though_it_takes_several_looks() {
    let mut patient = polling();
    let rest = Duration::from_millis(500);
    patient.pace = Pace { rest, rest_when_whole: rest, rest_after_many: rest, ..patient.pace };
    let stage = Stage::with(&[], patient).await;
    (0..2000).for_each(|file| fs::write(stage.order(&format!("src/{file}")), "x").unwrap());
    assert_eq!(shown(&stage.change().await), "order");
    stage.check_unnoticed().await;
}
