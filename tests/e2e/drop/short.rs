//! The short form of the drop test.

use super::report;
use super::rounds::{Scenario, play};
use super::service::Fate;
use super::verdict::Verdict;
use crate::e2e::stage::{Runtime, Stage};
use crate::harness::engine::engine;
use crate::harness::traffic::{Kind, Mix};

const RATE: u32 = 500;

fn edits(good: usize) -> Scenario {
    Scenario { replicas: 1, mix: Mix { rate: RATE, sitters: 0 }, edits: vec![Fate::Serves; good] }
}

/// Every sort of trouble, with a good edition after each.
fn troubles() -> Scenario {
    let edits = Fate::TROUBLES.into_iter().flat_map(|trouble| [trouble, Fate::Serves]).collect();
    Scenario { edits, ..self::edits(0) }
}

async fn on_docker(scenario: Scenario) {
    let Some(engine) = engine() else { return };
    Stage::new(Runtime::Docker, Some(engine))
        .play(async |stage| nothing_is_dropped(stage, &scenario).await)
        .await;
}

async fn as_processes(scenario: Scenario) {
    Stage::new(Runtime::Process, None).play(async |stage| nothing_is_dropped(stage, &scenario).await).await;
}

async fn nothing_is_dropped(stage: &Stage, scenario: &Scenario) {
    let record = play(stage, scenario).await;
    let verdict = Verdict::of(&record);
    for kind in Kind::ALL {
        assert!(record.entries.answers.iter().any(|answer| answer.kind == kind), "no {kind} was answered");
    }
    let dying = record.scenario.edits.iter().filter(|fate| **fate == Fate::DiesSoon).count();
    assert_eq!(record.chronicle.died.len(), dying, "who was to end after it had taken over has to");
    let complaints = verdict.complaints();
    assert!(complaints.is_empty(), "\n{}\n\n{}", complaints.join("\n"), report::rows(&record, &verdict));
}

#[tokio::test]
async fn nothing_is_dropped_while_containers_are_replaced() {
    on_docker(edits(20)).await;
}

#[tokio::test]
async fn nothing_is_dropped_while_three_containers_are_replaced_one_by_one() {
    on_docker(Scenario { replicas: 3, ..edits(20) }).await;
}

#[tokio::test]
async fn nothing_is_dropped_while_containers_fail_to_replace_the_one_that_serves() {
    on_docker(troubles()).await;
}

#[tokio::test]
async fn nothing_is_dropped_while_local_processes_are_replaced() {
    as_processes(edits(20)).await;
}

#[tokio::test]
async fn nothing_is_dropped_while_three_local_processes_are_replaced_one_by_one() {
    as_processes(Scenario { replicas: 3, ..edits(20) }).await;
}

#[tokio::test]
async fn nothing_is_dropped_while_local_processes_fail_to_replace_the_one_that_serves() {
    as_processes(troubles()).await;
}

#[tokio::test]
async fn nothing_is_dropped_while_local_processes_overtake_each_other() {
    let hurry =
        [Fate::IsOvertakenAtOnce, Fate::IsOvertakenAtOnce, Fate::IsOvertakenMidway, Fate::IsOvertakenMidway];
    let edits = hurry.repeat(4).into_iter().chain([Fate::Serves]).collect();
    as_processes(Scenario { replicas: 3, edits, ..self::edits(0) }).await;
}

#[tokio::test]
async fn whoever_stays_is_sent_away_at_the_limit_of_a_drain_and_not_before() {
    let mix = Mix { rate: RATE, sitters: 2 };
    as_processes(Scenario { mix, ..edits(1) }).await;
}
