//! Each test is a story, one happening a line, and what the history then says, one deployment a line.

use std::time::Duration;

use proptest::prelude::{Strategy, prop, prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::model::catalog::Endpoint;
use crate::model::deployment::{Cause, Outcome, Recipe, Stage, Timings};
use crate::model::event::{Failure, StepKind};
use crate::model::instance::InstanceName;

/// A line is the moment in milliseconds, what happens, and to whom. Words: `started`, `done` or `failed`
/// with a step; `exited`, `asked`, `settled`, `stopping`, `begun`, `shipped`, `live`, `unsound`.
fn event(line: &str) -> Event {
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(words[0].parse().unwrap());
    Event { at, kind: kind(&words[1..], at) }
}

fn kind(words: &[&str], at: SystemTime) -> EventKind {
    let failure = || Failure { message: "boom".into(), ..Failure::default() };
    match *words {
        ["settled"] => EventKind::Settled { ready: vec![], failed: vec![], took: Duration::ZERO },
        ["stopping"] => EventKind::Stopping,
        ["asked", wish, ref services @ ..] => EventKind::Asked {
            change: serde_json::from_value(wish.into()).unwrap(),
            services: services.iter().map(ToString::to_string).collect(),
        },
        ["exited", instance] => EventKind::InstanceExited {
            service: service(instance),
            instance: instance.into(),
            state: "exited with code 1".into(),
            restart_in: None,
        },
        ["started", step, subject] => {
            EventKind::StepStarted { service: service(subject), step: read(step), subject: subject.into() }
        }
        ["done", step, subject] => EventKind::StepFinished {
            service: service(subject),
            step: read(step),
            subject: subject.into(),
            took: Duration::ZERO,
        },
        ["failed", step, subject] => EventKind::StepFailed {
            service: service(subject),
            step: read(step),
            subject: subject.into(),
            failure: failure(),
        },
        ["begun", instance, cause] => EventKind::DeploymentBegun(Box::new(Beginning {
            service: service(instance),
            generation: generation(instance),
            cause: serde_json::from_value(serde_json::json!({"kind": cause, "paths": ["a.rs"], "more": 0}))
                .unwrap(),
            began: at - Duration::from_millis(40),
            timings: [(Stage::Detected, Duration::ZERO), (Stage::Debounced, Duration::from_millis(32))]
                .into_iter()
                .collect(),
            recipe: Recipe { digest: Some("d".into()), ..Recipe::default() },
        })),
        ["made", instance] => EventKind::DeploymentMade {
            service: service(instance),
            generation: generation(instance),
            recipe: Recipe { hash: Some("h".into()), ..Recipe::default() },
        },
        ["shipped", instance] => EventKind::DeploymentReached {
            service: service(instance),
            generation: generation(instance),
            stage: Stage::Shipped,
        },
        ["live", instance] => ended(instance, Outcome::Live),
        ["unsound", instance] => ended(instance, Outcome::Failed { failure: failure() }),
        ["nothing-new", instance] => ended(instance, Outcome::Unchanged),
        ["rolled-back", instance] => ended(instance, Outcome::RolledBack { to: 1 }),
        _ => panic!("{words:?} is nothing that happens"),
    }
}

fn ended(instance: &str, outcome: Outcome) -> EventKind {
    EventKind::DeploymentEnded { service: service(instance), generation: generation(instance), outcome }
}

fn read(step: &str) -> StepKind {
    serde_json::from_value(step.into()).unwrap()
}

fn service(subject: &str) -> String {
    subject.split('.').next().unwrap().to_owned()
}

fn generation(instance: &str) -> u32 {
    InstanceName::read(instance).unwrap().generation.number()
}

/// A history and what was written down of it.
#[derive(Default)]
struct Book {
    history: History,
    written: BTreeMap<(String, u64), Deployment>,
}

impl Book {
    fn tell(&mut self, story: &str) {
        for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let changed = self.history.step(&event(line));
            self.write(changed);
        }
    }

    fn write(&mut self, changed: Vec<Deployment>) {
        for one in changed {
            self.written.insert((one.service.clone(), one.number), one);
        }
    }

    /// Another process goes on, with what was written and a look at who takes requests.
    fn resume(&mut self, serving: &[&str]) {
        let mut catalog = Catalog::default();
        for instance in serving {
            let instance = InstanceName::read(instance).unwrap();
            let endpoint = Endpoint {
                instance: instance.clone(),
                address: ([127, 0, 0, 1], 1).into(),
                state: EndpointState::Ready,
            };
            catalog.services.entry(instance.service).or_default().push(endpoint);
        }
        self.history = History::resume(self.written.values().cloned().collect(), &catalog);
    }

    #[track_caller]
    fn says(&self, expected: &str) {
        let lines: Vec<String> = self.written.values().map(line).collect();
        let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert_eq!(lines, expected);
    }
}

fn line(one: &Deployment) -> String {
    let moment = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    let attempts = if one.attempts > 1 { format!(" x{}", one.attempts) } else { String::new() };
    let stopped = one.stopped.map(|at| format!(", until {}", moment(at))).unwrap_or_default();
    let stages = |timings: &Timings| {
        let spans = timings.spans().map(|(stage, span)| format!(" {stage:?} {}", span.as_millis()));
        spans.collect::<String>()
    };
    format!(
        "{} #{} v{}{attempts} at {}, {}:{} -> {}{stopped}",
        one.service,
        one.number,
        one.generation,
        moment(one.began),
        one.cause,
        stages(&one.timings),
        one.outcome,
    )
}

#[track_caller]
fn check(story: &str, expected: &str) -> Book {
    let mut book = Book::default();
    book.tell(story);
    book.says(expected);
    book
}

const FIRST: &str = "
    100 started build order
    300 done build order
    300 started start order.v1.1
    340 done start order.v1.1
    400 done await-ready order.v1.1
    405 done admit order.v1.1
    410 settled";

const SECOND: &str = "
    1000 started start order.v2.1
    1040 done start order.v2.1
    1100 done await-ready order.v2.1
    1105 done admit order.v2.1
    1106 done withdraw order.v1.1
    1150 done drain order.v1.1
    1200 done remove order.v1.1
    1201 settled";

#[test]
fn a_first_start_is_a_deployment_that_becomes_live() {
    check(FIRST, "order #1 v1 at 100, first start: Built 200 Started 40 Ready 60 Switched 5 -> live");
}

#[test]
fn a_new_generation_supersedes_the_one_before_when_that_takes_no_more_requests() {
    check(
        &[FIRST, SECOND].join("\n"),
        "order #1 v1 at 100, first start: Built 200 Started 40 Ready 60 Switched 5 -> superseded by v2, until 1106
         order #2 v2 at 1000, changed: Started 40 Ready 60 Switched 5 -> live",
    );
}

#[test]
fn a_restart_that_was_asked_for_is_the_cause_of_the_next_generation_alone() {
    let story = [FIRST, "990 asked restart order", SECOND, "2000 started start order.v3.1"].join("\n");
    check(
        &story,
        "order #1 v1 at 100, first start: Built 200 Started 40 Ready 60 Switched 5 -> superseded by v2, until 1106
         order #2 v2 at 1000, restart: Started 40 Ready 60 Switched 5 -> live
         order #3 v3 at 2000, changed: -> under way",
    );
}

#[test]
fn replicas_are_one_deployment_that_is_switched_with_the_last_of_them() {
    let story = "
        0 started start order.v2.1
        10 done start order.v2.1
        20 done await-ready order.v2.1
        30 done admit order.v2.1
        40 started start order.v2.2
        50 done start order.v2.2
        60 done await-ready order.v2.2
        70 done admit order.v2.2
        80 settled";
    let live = "order #1 v2 at 0, first start: Started 10 Ready 10 Switched 50 -> live";
    let mut book = check(story, live);
    // Scaling, and starting again what stopped, are no deployments.
    book.tell(
        "100 asked scale order
         101 started start order.v2.3
         105 done admit order.v2.3
         110 settled
         200 exited order.v2.2
         210 started start order.v2.2
         220 failed await-ready order.v2.2
         300 done withdraw order.v2.3
         310 done remove order.v2.3",
    );
    book.says(live);
    book.tell("400 done remove order.v2.1");
    book.says("order #1 v2 at 0, first start: Started 10 Ready 10 Switched 50 -> stopped, until 400");
}

#[test]
fn what_fails_before_it_is_ready_leaves_the_one_before_live() {
    let story = [
        FIRST,
        "1000 started start order.v2.1\n1010 done start order.v2.1\n1100 failed await-ready order.v2.1",
    ]
    .join("\n");
    let first = "order #1 v1 at 100, first start: Built 200 Started 40 Ready 60 Switched 5 -> live\n";
    let mut book = check(&story, &format!("{first}order #2 v2 at 1000, changed: Started 10 -> failed: boom"));
    // Tried again by itself, under the next number: still the same deployment.
    book.tell("2000 started start order.v3.1\n2005 failed await-ready order.v3.1");
    book.says(&format!("{first}order #2 v3 x2 at 2000, changed: -> failed: boom"));
    // Asked for again: another one.
    book.tell("3000 asked apply\n3010 started start order.v4.1\n3030 done admit order.v4.1\n3031 done withdraw order.v1.1");
    book.says(
        "order #1 v1 at 100, first start: Built 200 Started 40 Ready 60 Switched 5 -> superseded by v4, until 3031
         order #2 v3 x2 at 2000, changed: -> failed: boom
         order #3 v4 at 3010, changed: Switched 20 -> live",
    );
}

#[test]
fn what_stops_while_it_is_watched_has_failed_and_the_one_before_is_live_again() {
    let story = "
        1000 started start order.v2.1
        1040 done start order.v2.1
        1100 done await-ready order.v2.1
        1105 done admit order.v2.1
        1106 done withdraw order.v1.1
        1106 live order.v2.1
        1500 started admit order.v1.1
        1500 done admit order.v1.1
        1510 failed watch order.v2.1
        1520 settled";
    check(
        &[FIRST, story].join("\n"),
        "order #1 v1 at 100, first start: Built 200 Started 40 Ready 60 Switched 5 -> live
         order #2 v2 at 1000, changed: Started 40 Ready 60 Switched 5 -> failed: boom",
    );
}

#[test]
fn a_build_that_fails_is_a_deployment_of_the_generation_that_it_would_have_become() {
    let mut book = check(
        &[FIRST, "1000 started build order\n1100 failed build order\n2000 started build order\n2100 failed build order"]
            .join("\n"),
        "order #1 v1 at 100, first start: Built 200 Started 40 Ready 60 Switched 5 -> live
         order #2 v2 x2 at 2000, changed: -> failed: boom",
    );
    book.tell("3000 asked apply order\n3010 started build order\n3100 done build order\n3101 started start order.v2.1\n3130 done admit order.v2.1");
    assert!(
        line(book.written.values().last().unwrap()).starts_with("order #3 v2 at 3010, changed: Built 90")
    );
}

#[test]
fn a_service_that_waits_for_one_that_failed_has_failed_with_it() {
    check("0 failed start order", "order #1 v1 at 0, first start: -> failed: boom");
}

#[test]
fn a_rollout_that_fails_half_way_has_failed_although_some_of_it_serves() {
    let story = [
        FIRST,
        "
        1000 started start order.v2.1
        1010 done admit order.v2.1
        1020 started start order.v2.2
        1030 failed await-ready order.v2.2
        1040 settled",
    ]
    .join("\n");
    let mut book = check(
        &story,
        "order #1 v1 at 100, first start: Built 200 Started 40 Ready 60 Switched 5 -> live
         order #2 v2 at 1000, changed: Switched 10 -> failed: boom",
    );
    book.tell("2000 done withdraw order.v2.1");
    assert!(line(&book.written[&("order".to_owned(), 2)]).ends_with("-> failed: boom, until 2000"));
}

#[test]
fn a_newer_save_overtakes_what_is_under_way() {
    let story = [
        FIRST,
        "
        1040 begun order.v2.1 sources-changed
        1100 begun order.v3.1 sources-changed
        1150 done build order
        1160 shipped order.v3.1
        1170 done start order.v3.1
        1180 done admit order.v3.1",
    ]
    .join("\n");
    check(
        &story,
        "order #1 v1 at 100, first start: Built 200 Started 40 Ready 60 Switched 5 -> live
         order #2 v2 at 1000, a.rs: Detected 0 Debounced 32 -> superseded by v3
         order #3 v3 at 1060, a.rs: Detected 0 Debounced 32 Built 58 Shipped 10 Started 10 Switched 10 -> live",
    );
}

#[test]
fn what_had_failed_and_was_only_tried_again_has_failed_when_it_is_overtaken() {
    let story = [
        FIRST,
        "
        1040 begun order.v2.1 sources-changed
        1050 failed start order.v2.1
        2040 begun order.v3.1 tried-again
        2100 begun order.v4.1 sources-changed
        2110 made order.v4.1
        2180 done admit order.v4.1",
    ]
    .join("\n");
    let book = check(
        &story,
        "order #1 v1 at 100, first start: Built 200 Started 40 Ready 60 Switched 5 -> live
         order #2 v3 x2 at 2000, a.rs: Detected 0 Debounced 32 -> failed: boom
         order #3 v4 at 2060, a.rs: Detected 0 Debounced 32 Switched 88 -> live",
    );
    assert_eq!(book.written[&("order".to_owned(), 3)].recipe.hash.as_deref(), Some("h"));
}

#[test]
fn what_is_given_up_for_what_serves_already_has_failed_made_way_or_come_to_nothing() {
    let story = [
        FIRST,
        "
        1040 begun order.v2.1 sources-changed
        1050 nothing-new order.v2.1
        2040 begun order.v2.1 sources-changed
        2050 done start order.v2.1
        2060 nothing-new order.v2.1
        3040 begun order.v3.1 sources-changed
        3050 failed start order.v3.1
        4040 begun order.v4.1 tried-again
        4050 nothing-new order.v4.1",
    ]
    .join("\n");
    check(
        &story,
        "order #1 v1 at 100, first start: Built 200 Started 40 Ready 60 Switched 5 -> live
         order #2 v2 at 1000, a.rs: Detected 0 Debounced 32 -> nothing new
         order #3 v2 at 2000, a.rs: Detected 0 Debounced 32 Started 18 -> gave way to v1
         order #4 v4 x2 at 4000, a.rs: Detected 0 Debounced 32 -> failed: boom",
    );
}

#[test]
fn what_the_engine_says_of_an_end_counts() {
    let story = [
        FIRST,
        "
        1040 begun order.v2.1 sources-changed
        1100 done admit order.v2.1
        1200 unsound order.v2.1
        1210 done withdraw order.v2.1
        1240 begun order.v3.1 tried-again
        1300 done admit order.v3.1
        1400 rolled-back order.v3.1
        1410 done withdraw order.v3.1",
    ]
    .join("\n");
    let mut book = check(
        &story,
        "order #1 v1 at 100, first start: Built 200 Started 40 Ready 60 Switched 5 -> live
         order #2 v3 x2 at 1200, a.rs: Detected 0 Debounced 32 Switched 68 -> gave way to v1, until 1410",
    );
    assert_eq!(book.written[&("order".to_owned(), 2)].recipe.digest.as_deref(), Some("d"));
    book.tell("1500 begun order.v4.1 sources-changed\n1600 live order.v4.1");
    assert!(line(book.written.values().last().unwrap()).ends_with("Switched 108 -> live"));
}

#[test]
fn down_stops_what_is_live_and_what_is_under_way() {
    let story = [
        FIRST,
        "
        500 started start cart.v1.1
        600 stopping
        610 done withdraw order.v1.1
        700 done remove order.v1.1
        710 done remove cart.v1.1",
    ]
    .join("\n");
    let mut book = check(
        &story,
        "cart #1 v1 at 500, first start: -> stopped
         order #1 v1 at 100, first start: Built 200 Started 40 Ready 60 Switched 5 -> stopped, until 610",
    );
    // Generations are counted anew; deployments are not.
    book.resume(&[]);
    book.tell("2000 started start order.v1.1\n2100 done admit order.v1.1");
    assert_eq!(
        line(book.written.values().last().unwrap()),
        "order #2 v1 at 2000, first start: Switched 100 -> live"
    );
}

#[test]
fn another_process_goes_on_with_what_was_written() {
    let mut book = check(
        &[FIRST, "450 started start order.v1.2\n460 done admit order.v1.2\n900 started start cart.v3.1"]
            .join("\n"),
        "cart #1 v3 at 900, first start: -> under way
         order #1 v1 at 100, first start: Built 200 Started 40 Ready 60 Switched 5 -> live",
    );
    book.resume(&["order.v1.1", "order.v1.2"]);
    book.tell("950 done start cart.v3.1\n960 done admit cart.v3.1\n970 done withdraw order.v1.2");
    book.tell(SECOND);
    book.says(
        "cart #1 v3 at 900, first start: Started 50 Switched 10 -> live
         order #1 v1 at 100, first start: Built 200 Started 40 Ready 60 Switched 5 -> superseded by v2, until 1106
         order #2 v2 at 1000, changed: Started 40 Ready 60 Switched 5 -> live",
    );
    let gone = book.history.take_down(event("9000 settled").at);
    book.write(gone);
    assert!(book.written.values().all(|one| one.stopped.is_some() && !one.is_open()));
}

#[test]
fn what_is_found_running_without_a_record_is_adopted() {
    check(
        "0 done await-ready order.v4.1\n1 done admit order.v4.1",
        "order #1 v4 at 1, found running: -> live",
    );
}

#[test]
fn a_killed_platform_that_is_found_running_changes_nothing() {
    let mut book = Book::default();
    book.tell(FIRST);
    let before = book.written.clone();
    book.resume(&[]);
    book.tell("5000 asked apply\n5010 done await-ready order.v1.1\n5020 done admit order.v1.1\n5030 settled");
    assert_eq!(book.written, before);
}

#[test]
fn only_what_may_still_change_is_remembered() {
    let mut history = History::default();
    for generation in 1..1000 {
        for word in ["started start", "done admit"] {
            let _ = history.step(&event(&format!("{generation} {word} order.v{generation}.1")));
        }
        let before = generation - 1;
        if before > 0 {
            let _ = history.step(&event(&format!("{generation} done withdraw order.v{before}.1")));
        }
    }
    assert_eq!(history.take_down(SystemTime::now()).len(), 1);
}

#[test]
fn what_a_service_prints_cannot_fill_the_history() {
    let mut history = History::default();
    let mut failed = event("1 failed start order.v1.1");
    if let EventKind::StepFailed { failure, .. } = &mut failed.kind {
        failure.excerpt = vec!["x".repeat(1_000_000)];
    }
    let changed = history.step(&failed);
    assert_eq!(changed[0].cause, Cause::FirstStart);
    let Outcome::Failed { failure } = &changed[0].outcome else { panic!("{changed:?}") };
    assert_eq!(failure.excerpt[0].len(), 500);
}

/// Anything that can be told of two services, in any order.
fn anything() -> impl Strategy<Value = String> {
    const WORDS: [&str; 18] = [
        "started build",
        "done build",
        "failed build",
        "started start",
        "done start",
        "failed start",
        "done await-ready",
        "failed await-ready",
        "done admit",
        "done withdraw",
        "done remove",
        "exited",
        "begun",
        "unsound",
        "live",
        "settled",
        "stopping",
        "asked apply",
    ];
    (prop::sample::select(&WORDS[..]), prop::sample::select(&["a", "b"][..]), 1..5_u32, 1..3_u16).prop_map(
        |(words, service, generation, replica)| match words {
            "settled" | "stopping" => words.to_owned(),
            "asked apply" | "started build" | "done build" | "failed build" => format!("{words} {service}"),
            "begun" => format!("begun {service}.v{generation}.{replica} sources-changed"),
            _ => format!("{words} {service}.v{generation}.{replica}"),
        },
    )
}

proptest! {
    #[test]
    fn whatever_happens_one_is_under_way_at_most_and_numbers_grow(story in prop::collection::vec(anything(), 0..60)) {
        let mut book = Book::default();
        for (at, happening) in story.iter().enumerate() {
            book.tell(&format!("{} {happening}", at + 100));
            for service in ["a", "b"] {
                let all: Vec<_> = book.written.values().filter(|one| one.service == service).collect();
                let under_way = all.iter().filter(|one| one.outcome == Outcome::UnderWay).count();
                prop_assert!(under_way <= 1, "after {happening}: {all:#?}");
                let numbers: Vec<u64> = all.iter().map(|one| one.number).collect();
                prop_assert_eq!(numbers, (1..=all.len() as u64).collect::<Vec<_>>());
            }
        }
        // What was let go of stays so, whatever the end was.
        let gone = book.history.take_down(SystemTime::now());
        book.write(gone);
        prop_assert!(book.written.values().all(|one| !one.is_open()));
    }
}
