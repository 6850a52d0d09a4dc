//! Manifests, services that come and go, and following what they say.

use std::fs;

use super::fixtures::{given, platform, service, sharing};
use super::stage::{Stage, layout, shown};
use crate::watch::Layout;

#[tokio::test]
async fn a_saved_manifest_concerns_no_service() {
    let stage = Stage::new(&[]).await;
    for path in ["msctl.toml", "services/order/service.toml"] {
        stage.write(path, "x");
        let change = stage.change().await;
        assert_eq!((shown(&change), stage.paths(&change)), ("+manifest".into(), path.into()));
    }
}

#[tokio::test]
async fn a_service_that_appears_or_vanishes_concerns_the_manifest() {
    let stage = Stage::new(&[]).await;
    fs::create_dir(stage.root.join("services/new")).unwrap();
    assert_eq!(shown(&stage.change().await), "+manifest");
    stage.write("services/new/service.toml", "");
    stage.change_at(&stage.root.join("services/new/service.toml")).await;
    fs::rename(stage.root.join("services/new"), stage.root.join("services/other")).unwrap();
    assert_eq!(shown(&stage.change().await), "+manifest");
    stage.check_watched(&stage.root.join("services/other/service.toml")).await;
    fs::remove_dir_all(stage.root.join("services/other")).unwrap();
    assert_eq!(shown(&stage.change().await), "+manifest");
}

#[tokio::test]
async fn what_is_followed_next_is_reported_once_and_then_watched() {
    let stage = Stage::new(&["services/new/src/main.rs"]).await;
    stage.write("services/new/src/main.rs", "not of a service yet");
    stage.check_unnoticed().await;

    stage.watch.follow(layout(&stage.root, &["order", "mail", "new"]));
    assert_eq!(shown(&stage.change().await), "new");
    stage.check_watched(&stage.root.join("services/new/src/main.rs")).await;
    stage.check_watched(&stage.order("src/main.rs")).await;

    stage.watch.follow(layout(&stage.root, &["new", "mail"]));
    stage.write("services/order/src/other.rs", "not of a service any more");
    stage.check_unnoticed().await;
    stage.watch.follow(layout(&stage.root, &["new", "mail"]));
    stage.check_unnoticed().await;
}

#[tokio::test]
async fn following_again_and_again_loses_nothing() {
    let stage = Stage::new(&["services/new/src/main.rs"]).await;
    let layouts = [layout(&stage.root, &["order", "mail", "new"]), layout(&stage.root, &["order", "mail"])];
    for number in 0..12 {
        stage.watch.follow(layouts[number % 2].clone());
        let file = stage.order(&format!("src/{number}.rs"));
        stage.check_watched(&file).await;
    }
}

#[tokio::test]
async fn other_patterns_lead_to_other_folders() {
    let stage = Stage::new(&["teams/shop/cart/README.md"]).await;
    let services = || ["order", "mail"].map(|name| service(name, &stage.root.join("services").join(name)));
    stage.write("teams/shop/cart/service.toml", "");
    stage.check_unnoticed().await;

    stage.watch.follow(Layout::of(&platform(&stage.root, &["services/*", "teams/*/*"], services())));
    assert_eq!(shown(&stage.change().await), "+manifest");
    stage.check_watched(&stage.root.join("teams/shop/cart/service.toml")).await;
    stage.check_watched(&stage.root.join("teams/pay/bank/service.toml")).await;
}

#[tokio::test]
async fn shared_folders_concern_those_who_use_them_and_files_of_variables_the_manifest() {
    let stage = Stage::new(&["proto/deep/a.proto", "config/common.env"]).await;
    let [order, mail] = ["order", "mail"].map(|name| service(name, &stage.root.join("services").join(name)));
    let order = sharing(order, &stage.root.join("proto"));
    let order = given(order, &stage.root.join("config/common.env"));
    let order = given(order, &stage.order("dev.env"));
    stage.watch.follow(Layout::of(&platform(&stage.root, &["services/*"], [order, mail])));
    assert_eq!(shown(&stage.change().await), "order +manifest");
    for path in ["proto/deep/a.proto", "proto/new/b.proto", "config/common.env", "services/order/dev.env"] {
        stage.check_watched(&stage.root.join(path)).await;
        stage.write(path, "x");
        let expected = if path.starts_with("proto") { "order" } else { "+manifest" };
        assert_eq!(shown(&stage.change_at(&stage.root.join(path)).await), expected, "{path}");
    }
    stage.write("config/other.env", "x");
    stage.write("proto/node_modules/a.js", "x");
    stage.check_unnoticed().await;
}

#[tokio::test]
async fn what_a_manifest_names_before_it_is_there_concerns_the_manifest_when_it_comes() {
    let stage = Stage::new(&[]).await;
    let outside = stage.root.parent().unwrap().join("secrets/deep/order.env");
    let missing = || [stage.root.join("libs/common"), stage.order("dev.env"), outside.clone()];
    stage.watch.follow(layout(&stage.root, &["order", "mail"]).expecting(missing()));
    assert_eq!(shown(&stage.change().await), "+manifest", "one of them may have come by now");
    stage.watch.follow(layout(&stage.root, &["order", "mail"]).expecting(missing()));
    stage.check_unnoticed().await;
    for path in [outside.parent().unwrap(), &stage.root.join("libs/common")] {
        fs::create_dir_all(path).unwrap();
        let change = stage.change().await;
        assert_eq!(shown(&change), "+manifest", "{}", stage.paths(&change));
    }
    for path in [&outside, &stage.order("dev.env")] {
        stage.check_watched(path).await;
    }
}
