//! Very many files at once.

use std::fs;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::stage::{Stage, shown};
use crate::watch::{Notice, Options, Pace, Report, ears};

/// A machine that is busy may pause while it writes files; a hand that saves does not.
fn patient() -> Options {
    let rest = Duration::from_millis(500);
    let longest = Duration::from_secs(60);
    Options {
        pace: Pace { rest, rest_when_whole: rest, rest_after_many: rest, longest, ..Pace::default() },
        ..Options::default()
    }
}

#[tokio::test]
async fn ten_thousand_files_are_one_change() {
    let stage = Stage::with(&[], patient()).await;
    for folder in 0..100 {
        let folder = stage.order(&format!("src/{folder}"));
        fs::create_dir(&folder).unwrap();
        (0..100).for_each(|file| fs::write(folder.join(file.to_string()), "x").unwrap());
    }
    let change = stage.change().await;
    assert_eq!(shown(&change), "order");
    assert!(change.paths().iter().count() <= 8 && change.paths().has_more());
    stage.check_unnoticed().await;
    stage.check_watched(&stage.order("src/99/0")).await;

    fs::remove_dir_all(stage.order("src")).unwrap();
    assert_eq!(shown(&stage.change().await), "order");
    stage.check_unnoticed().await;
}

#[tokio::test]
async fn where_the_kernel_lost_count_everything_is_reported_and_watched_anew() {
    let inbox = Arc::new(OnceLock::new());
    let given = Arc::clone(&inbox);
    let (stage, _) = Stage::hearing(Options::default(), move |inbox| {
        drop(given.set(Arc::clone(&inbox)));
        ears::open(inbox)
    })
    .await;
    for _ in 0..3 {
        inbox.get().unwrap().overflow();
        let mut report = stage.report().await;
        if let Report::Notice(notice) = &report {
            assert!(matches!(notice, Notice::Overflow { .. }), "{notice}");
            assert!(notice.to_string().contains("fs.inotify.max_queued_events = "), "{notice}");
            report = stage.report().await;
        }
        let Report::Change(change) = report else { panic!("{report:?}") };
        assert_eq!(shown(&change), "mail order +manifest");
        assert!(change.paths().is_empty());
        stage.check_watched(&stage.order("src/deep/main.rs")).await;
        stage.check_watched(&stage.mail("src/main.rs")).await;
    }
}
