use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, SystemTime};

use super::*;
use crate::model::deployment::{Cause, Outcome, Recipe, Stage, Timings};
use crate::model::event::Failure;

fn deployment(service: &str, number: u64, outcome: Outcome) -> Deployment {
    Deployment {
        service: service.into(),
        number,
        generation: u32::try_from(number).unwrap(),
        cause: Cause::Changed,
        began: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + number),
        timings: Timings::default(),
        outcome,
        attempts: 1,
        stopped: None,
        recipe: Recipe::default(),
    }
}

fn over(service: &str, number: u64) -> Deployment {
    deployment(service, number, Outcome::Stopped)
}

fn names(deployments: &[Deployment]) -> Vec<String> {
    deployments.iter().map(|one| format!("{} {}", one.service, one.number)).collect()
}

#[test]
fn a_deployment_is_one_row_however_often_it_changes() {
    let store = HistoryStore::in_memory().unwrap();
    store.record(&[deployment("order", 1, Outcome::UnderWay)]).unwrap();
    let live = deployment("order", 1, Outcome::Live);
    store.record(&[live.clone(), over("cart", 7)]).unwrap();
    assert_eq!(store.latest(Some("order"), 10).unwrap(), [live]);
    assert_eq!(names(&store.latest(None, 10).unwrap()), ["cart 7", "order 1"]);
    assert_eq!(names(&store.latest(None, 1).unwrap()), ["cart 7"]);
    assert_eq!(names(&store.latest(Some("nobody"), 10).unwrap()), [""; 0]);
}

#[test]
fn a_later_deployment_of_a_service_is_newer_whenever_it_began() {
    let store = HistoryStore::in_memory().unwrap();
    let began_early = Deployment { began: over("order", 1).began, ..over("order", 4) };
    store
        .record(&[over("order", 1), over("cart", 2), over("order", 3), began_early, over("cart", 5)])
        .unwrap();
    let latest = names(&store.latest(None, 10).unwrap());
    assert_eq!(latest, ["cart 5", "order 4", "order 3", "cart 2", "order 1"]);
    assert_eq!(names(&store.latest(Some("order"), 2).unwrap()), ["order 4", "order 3"]);
}

#[test]
fn the_oldest_make_room_but_what_is_not_over_stays() {
    let store = HistoryStore::in_memory().unwrap();
    store.record(&[deployment("order", 1, Outcome::Live), over("cart", 1)]).unwrap();
    let many: Vec<Deployment> = (2..=500).map(|number| over("order", number)).collect();
    store.record(&many).unwrap();
    let kept = names(&store.latest(Some("order"), 1000).unwrap());
    assert_eq!((kept.len(), kept[0].as_str(), kept[199].as_str()), (201, "order 500", "order 301"));
    assert_eq!(kept[200], "order 1");
    assert_eq!(store.latest(Some("cart"), 10).unwrap().len(), 1);
    assert_eq!(names(&store.unfinished().unwrap()), ["cart 1", "order 1", "order 500"]);
}

#[test]
fn of_the_older_ones_those_that_never_served_go_first() {
    let store = HistoryStore::in_memory().unwrap();
    let served = |number| {
        let timings = [(Stage::Switched, Duration::from_secs(1))].into_iter().collect();
        Deployment { timings, ..over("order", number) }
    };
    for number in 1..=1000 {
        let one = if number % 10 == 0 { served(number) } else { over("order", number) };
        store.record(&[one]).unwrap();
    }
    let kept: Vec<u64> = store.latest(None, 1000).unwrap().iter().map(|one| one.number).collect();
    let latest: Vec<u64> = (901..=1000).rev().collect();
    assert_eq!(kept[..100], latest);
    let older: Vec<u64> = kept[100..].iter().copied().filter(|number| number % 10 == 0).collect();
    let expected: Vec<u64> = (1..=90).rev().map(|ten| ten * 10).collect();
    assert_eq!((kept.len(), older), (200, expected));
}

#[test]
fn a_row_that_cannot_be_read_does_not_hide_the_others() {
    let store = HistoryStore::in_memory().unwrap();
    store.record(&[over("order", 1), over("order", 2)]).unwrap();
    let garble = "UPDATE deployments SET document = '{' WHERE number = 1";
    store.with("test", |connection| connection.execute(garble, [])).unwrap();
    assert_eq!(names(&store.latest(None, 10).unwrap()), ["order 2"]);
}

#[test]
fn the_highest_generation_is_known_however_often_it_was_counted_anew() {
    let store = HistoryStore::in_memory().unwrap();
    let again = Deployment { generation: 1, ..over("order", 8) };
    store.record(&[over("order", 7), again, over("cart", 2)]).unwrap();
    assert_eq!(store.generations().unwrap(), [("cart".to_owned(), 2), ("order".to_owned(), 7)]);
}

#[test]
fn a_disk_that_is_full_fails_the_write_and_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = HistoryStore::open(&folder.path().join("history/deployments.db")).unwrap();
    store.record(&[over("order", 1)]).unwrap();
    // As SQLite says it when the disk is full, and when it may not grow.
    let limit = |pages: u32| {
        store.with("test", |connection| connection.pragma_update(None, "max_page_count", pages)).unwrap();
    };
    limit(1);
    let many: Vec<Deployment> = (2..=200).map(|number| over("order", number)).collect();
    let error = store.record(&many).unwrap_err().to_string();
    assert!(error.starts_with("write down the deployments in /") && error.contains("full"), "{error}");
    assert_eq!(names(&store.latest(None, 10).unwrap()), ["order 1"]);
    limit(100_000);
    store.record(&many).unwrap();
    assert_eq!(store.latest(None, 1000).unwrap().len(), 200);
}

#[test]
fn a_damaged_history_is_set_aside_and_a_newer_one_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history/deployments.db");
    HistoryStore::open(&path).unwrap().record(&[over("order", 1)]).unwrap();
    std::fs::write(&path, [0; 9000]).unwrap();
    let store = HistoryStore::open(&path).unwrap();
    assert!(store.quarantined().is_some());
    assert_eq!(store.latest(None, 10).unwrap(), []);
    store.with("test", |connection| connection.pragma_update(None, "user_version", 999)).unwrap();
    drop(store);
    let error = HistoryStore::open(&path).err().unwrap().to_string();
    assert!(error.contains("written by a newer msctl (format 999, this one knows 1)"), "{error}");
}

/// Where the child of the test below writes.
const VICTIM: &str = "MSCTL_TEST_HISTORY";

/// How often the child is killed, and after how many microseconds at most.
const KILLS: u32 = 200;
const LATEST: u64 = 8_000;

#[test]
#[ignore = "a part of the test after it, which runs it in a process of its own and kills it"]
fn write_until_killed() {
    let path = std::env::var_os(VICTIM).expect("the test below says where");
    let store = HistoryStore::open(Path::new(&path)).unwrap();
    let first = store.unfinished().unwrap().last().map_or(1, |latest| latest.number + 1);
    for number in first.. {
        let failure = Failure { excerpt: vec!["x".repeat(500); 20], ..Failure::default() };
        store.record(&[deployment("order", number, Outcome::Failed { failure })]).unwrap();
        // Nothing else may be said on the same line.
        let said = rustix::io::write(std::io::stdout(), format!("\nwrote {number}\n").as_bytes());
        assert!(said.is_ok());
    }
}

fn writer(path: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::deployments::tests::write_until_killed", "--ignored", "--nocapture"])
        .env(VICTIM, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    (child, said)
}

#[expect(clippy::disallowed_methods, reason = "any moment is as good as another, which is the point")]
fn pass(time: Duration) {
    std::thread::sleep(time);
}

fn written(line: &std::io::Result<String>) -> Option<u64> {
    line.as_ref().ok()?.strip_prefix("wrote ")?.parse().ok()
}

#[test]
fn a_process_that_is_killed_at_any_moment_leaves_a_whole_history() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history/deployments.db");
    let mut random = fastrand::Rng::with_seed(7);
    let mut latest = 0;
    for kill in 0..KILLS {
        let (mut child, said) = writer(&path);
        let mut lines = said.lines();
        // In the middle of its writing, and not of its start.
        latest = lines.find_map(|line| written(&line)).expect("it writes");
        pass(Duration::from_micros(random.u64(0..LATEST)));
        child.kill().unwrap();
        child.wait().unwrap();
        latest = lines.filter_map(|line| written(&line)).last().unwrap_or(latest);
        let store = HistoryStore::open(&path).unwrap();
        assert_eq!(store.quarantined(), None, "kill {kill}");
        let kept = store.latest(None, 1000).unwrap();
        // What was said to be written is there; one more may be, whose word was not heard.
        assert!(
            (latest..=latest + 1).contains(&kept[0].number),
            "kill {kill}: {} after {latest}",
            kept[0].number
        );
        let numbers: Vec<u64> = kept.iter().map(|one| one.number).collect();
        let expected: Vec<u64> = (1..=kept[0].number).rev().take(200).collect();
        assert_eq!(numbers, expected, "kill {kill}");
    }
    assert!(latest > u64::from(KILLS), "it was killed before it wrote");
}
