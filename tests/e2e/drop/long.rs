//! The long form, which `tests/bench/drop/run` runs with what it was asked for in the environment.

use std::fs;

use super::report;
use super::rounds::{Scenario, play};
use super::service::Fate;
use super::verdict::Verdict;
use crate::e2e::stage::{Runtime, Stage};
use crate::harness::engine::engine;
use crate::harness::traffic::Mix;

/// One in so many editions is trouble, where any is to be.
const TROUBLE: usize = 4;

fn variable<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

fn scenario() -> Scenario {
    let (redeploys, has_troubles) = (variable("DROP_REDEPLOYS", 20), variable("DROP_FAILING", 0) == 1);
    let fate = |number: usize| {
        let is_trouble = has_troubles && number.is_multiple_of(TROUBLE) && number < redeploys;
        let trouble = || Fate::TROUBLES[number / TROUBLE % Fate::TROUBLES.len()];
        if is_trouble { trouble() } else { Fate::Serves }
    };
    Scenario {
        replicas: variable("DROP_REPLICAS", 1),
        mix: Mix { rate: variable("DROP_RATE", 500), sitters: variable("DROP_SITTERS", 0) },
        edits: (1..=redeploys).map(fate).collect(),
    }
}

#[tokio::test]
#[ignore = "a part of the measurements: tests/bench/drop/run runs it"]
async fn as_many_edits_as_are_asked_for() {
    let stage = match variable("DROP_RUNTIME", "docker".to_owned()).as_str() {
        "process" => Stage::new(Runtime::Process, None),
        _ => Stage::new(Runtime::Docker, Some(engine().expect("tests/bench/drop/run asks for one"))),
    };
    stage
        .play(async |stage| {
            let record = play(stage, &scenario()).await;
            let verdict = Verdict::of(&record);
            let complaints: Vec<String> =
                verdict.complaints().iter().map(|complaint| format!("- {complaint}\n")).collect();
            let report = format!("{}\n{}", report::rows(&record, &verdict), complaints.concat());
            let path = std::env::var("DROP_REPORT").expect("tests/bench/drop/run names a file");
            fs::write(path, report).expect("the report can be written");
            assert!(complaints.is_empty(), "see the report");
        })
        .await;
}
