//! Folders that come, go, move and are something else the next time.

use std::fs;
use std::path::Path;

use super::stage::{Stage, shown, write};

#[tokio::test]
async fn a_new_folder_is_watched_however_deep() {
    let stage = Stage::new(&[]).await;
    let deep = stage.order("src/a/b/c/d/e.rs");
    write(&deep, "1");
    assert_eq!(shown(&stage.change().await), "order");
    stage.check_watched(&deep).await;
    stage.check_watched(&stage.order("src/a/b/other.rs")).await;
}

#[tokio::test]
async fn a_folder_that_is_removed_and_made_again_stays_watched() {
    let stage = Stage::new(&["services/order/src/deep/a.rs"]).await;
    for folder in ["src/deep", "src"] {
        fs::remove_dir_all(stage.order(folder)).unwrap();
        stage.change_at(&stage.order(folder)).await;
        stage.check_watched(&stage.order("src/deep/a.rs")).await;
        stage.check_watched(&stage.order("src/deep/a.rs")).await;
    }
}

#[tokio::test]
async fn so_do_the_services_own_folder_and_those_above_it() {
    let stage = Stage::new(&[]).await;
    for folder in ["store/services/order", "store/services", "store"] {
        fs::remove_dir_all(stage.root.with_file_name(folder)).unwrap();
        let change = stage.change().await;
        assert!(
            change.manifest.is_some() && change.services.contains_key(&"order".parse().unwrap()),
            "{folder}"
        );
        for _ in 0..2 {
            stage.check_watched(&stage.order("src/deep/a.rs")).await;
        }
        stage.check_watched(&stage.mail("src/a.rs")).await;
        stage.check_watched(&stage.root.join("msctl.toml")).await;
    }
}

#[tokio::test]
async fn a_folder_that_is_replaced_faster_than_anybody_looks_stays_watched() {
    let stage = Stage::new(&["services/order/src/deep/a.rs"]).await;
    let file = stage.order("src/deep/a.rs");
    for round in 0..50 {
        match round % 3 {
            0 => fs::remove_dir_all(stage.order("src")).unwrap(),
            1 => fs::rename(stage.order("src"), stage.root.join(format!("aside{round}"))).unwrap(),
            _ => fs::remove_dir_all(stage.order("src/deep")).unwrap(),
        }
        write(&file, &round.to_string());
    }
    stage.change().await;
    for name in ["a.rs", "b.rs", "c.rs"] {
        stage.check_watched(&file.with_file_name(name)).await;
    }
}

#[tokio::test]
async fn a_renamed_folder_is_watched_under_its_new_name_and_its_old_one_when_that_is_made_again() {
    let stage = Stage::new(&["services/order/src/deep/a.rs"]).await;
    fs::rename(stage.order("src"), stage.order("lib")).unwrap();
    assert_eq!(stage.paths(&stage.change().await), "services/order/lib, services/order/src");
    for path in ["lib/deep/a.rs", "lib/b.rs", "src/deep/a.rs", "src/b.rs", "lib/deep/a.rs"] {
        stage.check_watched(&stage.order(path)).await;
    }
}

#[tokio::test]
async fn a_folder_that_moves_to_another_service_is_watched_as_that_ones() {
    let stage = Stage::new(&["services/order/src/deep/a.rs"]).await;
    fs::rename(stage.order("src/deep"), stage.mail("src/deep")).unwrap();
    assert_eq!(shown(&stage.change().await), "mail order");
    stage.write("services/mail/src/deep/a.rs", "2");
    assert_eq!(shown(&stage.change_at(&stage.mail("src/deep/a.rs")).await), "mail");

    fs::rename(stage.mail("src/deep"), stage.root.join("aside")).unwrap();
    assert_eq!(shown(&stage.change().await), "mail");
    stage.write("aside/a.rs", "3");
    stage.check_unnoticed().await;
}

#[tokio::test]
async fn a_file_may_become_a_folder_and_a_folder_a_file() {
    let stage = Stage::new(&["services/order/src/it"]).await;
    let it = stage.order("src/it");
    for _ in 0..3 {
        fs::remove_file(&it).unwrap();
        stage.check_watched(&it.join("inside.rs")).await;
        stage.check_watched(&it.join("inside.rs")).await;
        fs::remove_dir_all(&it).unwrap();
        stage.check_watched(&it).await;
    }
}

#[tokio::test]
async fn a_folder_counts_from_the_moment_in_which_no_rule_ignores_it() {
    let stage = Stage::new(&["services/order/out/deep/a.rs"]).await;
    let ignore = |path: &Path, rules: &str| write(path, rules);
    let files =
        [stage.order(".gitignore"), stage.root.join(".gitignore"), stage.root.join("services/.gitignore")];
    for (number, file) in files.iter().enumerate() {
        ignore(file, "out/\n");
        stage.change_at(file).await;
        stage.write(&format!("services/order/out/deep/{number}.rs"), "1");
        stage.check_unnoticed().await;
        ignore(file, "");
        stage.change_at(file).await;
        stage.check_watched(&stage.order("out/deep/a.rs")).await;
    }
    stage.write("services/order/out/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55");
    stage.change_at(&stage.order("out/CACHEDIR.TAG")).await;
    stage.write("services/order/out/deep/new.rs", "2");
    stage.check_unnoticed().await;
}

/// One of what people and tools do to folders, anywhere in two services.
fn do_anything(stage: &Stage, random: &mut fastrand::Rng) {
    let place = |random: &mut fastrand::Rng| {
        let depth = random.usize(1..4);
        let names: Vec<&str> = (0..depth).map(|_| ["a", "b", "c"][random.usize(..3)]).collect();
        stage
            .root
            .join("services")
            .join(["order", "mail"][random.usize(..2)])
            .join("src")
            .join(names.join("/"))
    };
    let (one, other) = (place(random), place(random));
    // Most of these fail at times: what they are done to is not there, or is something else.
    let _ = match random.u8(..8) {
        0..=2 => fs::create_dir_all(&one),
        3 => fs::remove_dir_all(&one),
        4 | 5 => fs::rename(&one, &other),
        6 => fs::write(one.join("file"), "x"),
        _ => std::os::unix::fs::symlink(&other, &one),
    };
}

fn folders_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let found = ignore::WalkBuilder::new(folder).standard_filters(false).build().map(Result::unwrap);
    found.filter(|entry| entry.file_type().unwrap().is_dir()).map(ignore::DirEntry::into_path).collect()
}

#[tokio::test]
async fn whatever_was_done_to_folders_those_that_are_there_are_watched() {
    let pace = crate::watch::Pace { rest: std::time::Duration::from_millis(5), ..Default::default() };
    let stage = Stage::with(&[], crate::watch::Options { pace, ..Default::default() }).await;
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..60).for_each(|_| do_anything(&stage, &mut random));
        let last = stage.mail(&format!("!{seed}")); // the first of all by its name, so it is in the sample
        write(&last, "");
        stage.change_at(&last).await;
        for service in ["order", "mail"] {
            for folder in folders_below(&stage.root.join("services").join(service).join("src")) {
                stage.check_watched(&folder.join(format!("probe{seed}"))).await;
            }
        }
    }
}

#[tokio::test]
async fn what_is_replaced_while_it_is_walked_is_no_obstacle() {
    let stage = Stage::new(&[]).await;
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let it = stage.order("src/it");
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                write(&it.join("deep/a.rs"), "x");
                fs::remove_dir_all(&it).unwrap();
                std::os::unix::fs::symlink("main.rs", &it).unwrap();
                fs::remove_file(&it).unwrap();
                fs::write(&it, "x").unwrap();
                fs::remove_file(&it).unwrap();
            }
        });
        let sources = crate::build::Sources::of_folder(&stage.order("."), &stage.root);
        let looks: Vec<_> = (0..2000).map(|_| sources.look()).collect();
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        let failed: Vec<_> = looks.into_iter().filter_map(Result::err).collect();
        assert!(failed.is_empty(), "{failed:?}");
    });
    stage.change().await;
    stage.check_watched(&stage.order("src/it/deep/a.rs")).await;
}
