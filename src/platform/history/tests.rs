use std::path::Path;

use super::*;
use crate::engine::ports::Announcer as _;
use crate::model::deployment::{Cause, Outcome, Recipe, Timings};
use crate::model::event::{EventKind, StepKind};
use crate::model::name::{PlatformId, Worktree};

fn folder(base: &Path) -> StateFolder {
    let worktree = Worktree::from_hex("abcdef").unwrap();
    StateFolder::open(base, &PlatformId { name: "store".parse().unwrap(), worktree }).unwrap()
}

fn announce(bus: &Bus, step: StepKind, instance: &str) {
    let (service, subject, took) = ("order".to_owned(), instance.to_owned(), Duration::ZERO);
    bus.announce(match step {
        StepKind::Start => EventKind::StepStarted { service, step, subject },
        _ => EventKind::StepFinished { service, step, subject, took },
    });
}

fn shown(folder: &StateFolder) -> Vec<String> {
    let latest = latest(folder, None, 10).unwrap();
    latest.iter().map(|one| format!("v{} {}", one.generation, one.outcome)).collect()
}

#[tokio::test]
async fn what_happens_is_written_by_the_time_that_somebody_waits_for_it() {
    let base = tempfile::tempdir().unwrap();
    let folder = folder(base.path());
    assert_eq!(shown(&folder), [""; 0]);
    assert!(!folder.history().exists(), "looking makes nothing");
    let bus = Bus::default();
    announce(&bus, StepKind::Start, "order.v1.1");
    let recorder = Recorder::start(&folder, &bus, Arc::default());
    recorder.flush().await;
    assert_eq!(shown(&folder), ["v1 under way"]);
    announce(&bus, StepKind::Admit, "order.v1.1");
    recorder.flush().await;
    assert_eq!(shown(&folder), ["v1 live"]);
}

#[tokio::test]
async fn the_next_process_goes_on_and_down_closes_what_is_open() {
    let base = tempfile::tempdir().unwrap();
    let folder = folder(base.path());
    for generation in 1..=2 {
        let bus = Bus::default();
        let recorder = Recorder::start(&folder, &bus, Arc::default());
        announce(&bus, StepKind::Start, &format!("order.v{generation}.1"));
        announce(&bus, StepKind::Admit, &format!("order.v{generation}.1"));
        if generation == 2 {
            announce(&bus, StepKind::Withdraw, "order.v1.1");
        }
        recorder.flush().await;
    }
    assert_eq!(shown(&folder), ["v2 live", "v1 superseded by v2"]);
    assert_eq!(generations(&folder).await.values().map(|one| one.number()).collect::<Vec<_>>(), [2]);
    close(&folder).unwrap();
    assert_eq!(shown(&folder), ["v2 stopped", "v1 superseded by v2"]);
}

#[tokio::test]
async fn where_nothing_can_be_written_nobody_is_held_up() {
    let base = tempfile::tempdir().unwrap();
    let folder = folder(base.path());
    std::fs::write(folder.path().join("history"), "in the way").unwrap();
    let bus = Bus::default();
    let recorder = Recorder::start(&folder, &bus, Arc::default());
    announce(&bus, StepKind::Start, "order.v1.1");
    let begun = std::time::Instant::now();
    recorder.flush().await;
    assert!(begun.elapsed() < PATIENCE);
}

fn deployment(number: u64, outcome: Outcome) -> Deployment {
    Deployment {
        service: "order".into(),
        number,
        generation: 1,
        cause: Cause::FirstStart,
        began: SystemTime::UNIX_EPOCH,
        timings: Timings::default(),
        outcome,
        attempts: 1,
        stopped: None,
        recipe: Recipe::default(),
    }
}

#[tokio::test]
async fn what_could_not_be_written_waits_in_its_latest_form_for_the_next_change() {
    let mut scribe = Scribe::new(HistoryStore::in_memory().unwrap(), History::default());
    scribe.sent = vec![deployment(1, Outcome::UnderWay), deployment(2, Outcome::UnderWay)];
    scribe.keep(vec![deployment(2, Outcome::Live)]);
    scribe.written(Err("write down the deployments: disk full".into()));
    assert_eq!(scribe.complained, Complained::Already);
    assert_eq!(
        scribe.waiting.values().cloned().collect::<Vec<_>>(),
        [deployment(1, Outcome::UnderWay), deployment(2, Outcome::Live)]
    );
    scribe.write_all().await;
    assert_eq!(scribe.store.latest(None, 10).unwrap().len(), 2);
    assert_eq!((scribe.complained, scribe.waiting.len()), (Complained::NotYet, 0));
}

#[tokio::test]
async fn what_waits_is_bounded() {
    let mut scribe = Scribe::new(HistoryStore::in_memory().unwrap(), History::default());
    scribe.keep((0..2 * WAITING as u64).map(|number| deployment(number, Outcome::Stopped)).collect());
    assert_eq!(scribe.waiting.len(), WAITING);
}
