use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{Pace, Quiet};
use crate::watch::ears::Kind;
use crate::watch::layout::Affected;

fn affected(service: &str) -> Affected {
    Affected { services: [service.parse().unwrap()].into(), manifest: false }
}

fn kind(is_whole: bool) -> Kind {
    if is_whole { Kind::Written } else { Kind::Writing }
}

/// Events as (milliseconds, path), a "-" before a path that is missing or half written; and when each
/// report of them comes, with the number of its paths.
fn reports(events: &[(u64, &str)]) -> Vec<(u64, usize)> {
    let start = Instant::now();
    let mut quiet = Quiet::new(Pace::default());
    let mut reports = Vec::new();
    let mut fire = |quiet: &mut Quiet, until: Option<Instant>| {
        while let Some(due) = quiet.due().filter(|due| until.is_none_or(|until| *due <= until)) {
            let change = quiet.take(due).unwrap();
            reports.push((millis(due - start), change.paths().iter().count()));
        }
    };
    for (at, path) in events {
        let at = start + Duration::from_millis(*at);
        fire(&mut quiet, Some(at));
        let path = (Path::new(path.trim_start_matches('-')), kind(!path.starts_with('-')));
        quiet.note(affected("order"), Some(path), at);
    }
    fire(&mut quiet, None);
    reports
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}

#[test]
fn one_save_is_reported_as_soon_as_the_file_is_whole() {
    assert_eq!(reports(&[(0, "-a"), (1, "a")]), [(11, 1)]);
    assert_eq!(reports(&[(0, "-a"), (1, "b"), (12, "-a"), (14, "a"), (15, "c")]), [(25, 3)]);
}

#[test]
fn what_is_missing_or_half_written_is_given_a_little_more_time() {
    assert_eq!(reports(&[(0, "-a")]), [(30, 1)]);
    assert_eq!(reports(&[(0, "-a"), (29, "b"), (50, "b"), (70, "a")]), [(80, 2)]);
    assert_eq!(reports(&[(0, "-a"), (31, "a")]), [(30, 1), (41, 1)]);
}

#[test]
fn two_saves_are_two_reports() {
    assert_eq!(reports(&[(0, "a"), (100, "a"), (109, "b")]), [(10, 1), (119, 2)]);
}

#[test]
fn after_many_files_the_rest_is_longer() {
    let many: Vec<(u64, String)> = (0..500).map(|number| (number * 100, format!("{number}"))).collect();
    let slow: Vec<(u64, &str)> = many.iter().map(|(at, path)| (*at, path.as_str())).take(9).collect();
    assert_eq!(reports(&slow).len(), 9, "a pace that a hand can keep up is no burst");

    let fast: Vec<(u64, &str)> = many.iter().map(|(at, path)| (*at / 50, path.as_str())).collect();
    assert_eq!(reports(&fast), [(998 + 200, 8)]);
    let with_gaps: Vec<(u64, &str)> =
        fast.iter().map(|(at, path)| (if *at > 500 { at + 150 } else { *at }, *path)).collect();
    assert_eq!(reports(&with_gaps), [(998 + 150 + 200, 8)]);
}

#[test]
fn what_never_rests_is_reported_all_the_same() {
    let endless: Vec<(u64, &str)> = (0..2500).map(|number| (number * 10, "-log")).collect();
    assert_eq!(reports(&endless), [(10_000, 1), (20_000, 1), (25_020, 1)]);
}

/// What is named, and after how many milliseconds, of what happens at once.
fn named(events: &[(&str, Kind)]) -> (Vec<String>, u64) {
    let start = Instant::now();
    let mut quiet = Quiet::new(Pace::default());
    for (path, kind) in events {
        quiet.note(affected("order"), Some((Path::new(path), *kind)), start);
    }
    let due = quiet.due().unwrap();
    let change = quiet.take(due).unwrap();
    (change.paths().iter().map(|path| path.display().to_string()).collect(), millis(due - start))
}

#[test]
fn a_file_that_comes_and_goes_while_another_is_saved_is_neither_named_nor_waited_for() {
    use Kind::{Arrived, Left, Made, Writing, Written};
    let renamed = [("sedA", Made), ("sedA", Writing), ("sedA", Written), ("sedA", Left), ("app.py", Arrived)];
    assert_eq!(named(&renamed), (vec!["app.py".to_owned()], 10));
    let backed_up =
        [("app.py", Left), ("app.py~", Arrived), ("app.py", Made), ("app.py", Written), ("app.py~", Left)];
    assert_eq!(named(&backed_up), (vec!["app.py".to_owned()], 10));
    let removed = [("app.py", Written), ("old.py", Left)];
    assert_eq!(named(&removed), (vec!["app.py".to_owned(), "old.py".to_owned()], 30));
    let replaced = [("app.py", Left), ("app.py", Made), ("app.py", Left)];
    assert_eq!(named(&replaced), (vec!["app.py".to_owned()], 30));
}

#[test]
fn what_concerns_nobody_is_not_even_pending() {
    let mut quiet = Quiet::new(Pace::default());
    quiet.note(Affected::default(), None, Instant::now());
    quiet.stir(Instant::now());
    assert_eq!(quiet.due(), None);
}

proptest! {
    #[test]
    fn every_event_is_reported_once_and_within_bounds(
        steps in proptest::collection::vec((0_u64..400, 0_usize..4, 0_usize..40, any::<bool>()), 1..200)
    ) {
        let (start, pace) = (Instant::now(), Pace::default());
        let mut quiet = Quiet::new(pace);
        let mut now = start;
        let mut reported = Vec::new();
        let mut last_of = std::collections::BTreeMap::new();
        for (pause, service, path, is_whole) in steps {
            let next = now + Duration::from_millis(pause);
            while let Some(due) = quiet.due().filter(|due| *due <= next) {
                reported.push(quiet.take(due).unwrap());
            }
            now = next;
            let service = format!("s{service}");
            let path = PathBuf::from(path.to_string());
            quiet.note(affected(&service), Some((&path, kind(is_whole))), now);
            last_of.insert(service, now);
        }
        let due = quiet.due().unwrap();
        reported.push(quiet.take(due).unwrap());
        prop_assert_eq!(quiet.due(), None);
        for change in &reported {
            let waited = change.settled - change.detected;
            prop_assert!(waited >= pace.rest_when_whole && waited <= pace.longest, "{waited:?}");
            for touch in change.services.values() {
                prop_assert!(change.detected <= touch.first && touch.last <= change.settled);
            }
        }
        for (service, last) in last_of {
            let service = service.parse().unwrap();
            let of_it = reported.iter().rev().find_map(|change| change.services.get(&service));
            prop_assert_eq!(of_it.map(|touch| touch.last), Some(last));
        }
    }
}
