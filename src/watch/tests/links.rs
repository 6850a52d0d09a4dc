//! Links are what they are, and lead nowhere.

use std::fs;
use std::os::unix::fs::symlink;

use super::stage::{Stage, shown};

#[tokio::test]
async fn links_are_not_followed_into_circles_out_of_the_platform_or_into_nothing() {
    let stage = Stage::new(&["elsewhere/deep/a.rs"]).await;
    let outside = tempfile::tempdir().unwrap();
    let links = [("up", "..".into()), ("broken", "/nonexistent".into()), ("self", stage.order("src/self"))];
    for (name, target) in links {
        symlink(target, stage.order("src").join(name)).unwrap();
        stage.change_at(&stage.order("src").join(name)).await;
    }
    symlink(outside.path(), stage.order("src/out")).unwrap();
    stage.change_at(&stage.order("src/out")).await;
    symlink(stage.root.join("elsewhere"), stage.order("src/aside")).unwrap();
    stage.change_at(&stage.order("src/aside")).await;

    fs::write(outside.path().join("a.rs"), "").unwrap();
    stage.write("elsewhere/deep/a.rs", "1");
    stage.check_unnoticed().await;
    stage.check_watched(&stage.order("src/main.rs")).await;
}

#[tokio::test]
async fn a_link_that_leads_elsewhere_is_a_change() {
    let stage = Stage::new(&[]).await;
    let link = stage.order("src/current");
    for target in ["one", "two"] {
        let beside = stage.order("src/next");
        symlink(target, &beside).unwrap();
        fs::rename(&beside, &link).unwrap();
        stage.change_at(&link).await;
    }
}

#[tokio::test]
async fn a_folder_whose_place_a_link_takes_is_not_watched_any_more() {
    let stage = Stage::new(&["services/order/src/deep/a.rs"]).await;
    let outside = tempfile::tempdir().unwrap();
    fs::rename(stage.order("src/deep"), outside.path().join("deep")).unwrap();
    symlink(outside.path().join("deep"), stage.order("src/deep")).unwrap();
    stage.change_at(&stage.order("src/deep")).await;
    fs::write(outside.path().join("deep/a.rs"), "1").unwrap();
    stage.check_unnoticed().await;

    fs::remove_dir_all(stage.order("")).unwrap();
    symlink(outside.path(), stage.root.join("services/order")).unwrap();
    assert_eq!(shown(&stage.change_at(&stage.root.join("services/order")).await), "order +manifest");
    fs::write(outside.path().join("a.rs"), "1").unwrap();
    stage.check_unnoticed().await;
}
