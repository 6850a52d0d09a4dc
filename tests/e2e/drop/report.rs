//! What a run came to, as a table.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use super::rounds::{End, Footprint, Record};
use super::service::Fate;
use super::verdict::Verdict;
use crate::harness::traffic::{Answer, Kind};

/// What is asked so shortly before or after a change belongs to it.
const AROUND: Duration = Duration::from_millis(250);

/// The whole report, in Markdown.
pub fn rows(record: &Record, verdict: &Verdict) -> String {
    let mut text = String::new();
    let mut add = |line: String| writeln!(text, "{line}").expect("a string takes everything");
    add(edits(record, verdict));
    add(lost(verdict));
    add("| requests | asked | answered | failed | connections |\n|---|---|---|---|---|".to_owned());
    for kind in Kind::ALL {
        add(row(kind, record, verdict));
    }
    add(String::new());
    add("| time of an answer | number | p50 | p99 | p99.9 | most |\n|---|---|---|---|---|---|".to_owned());
    let (around, steady): (Vec<_>, Vec<_>) = timed(record).partition(|answer| is_around(answer.due, record));
    add(latencies("in between", &steady));
    add(latencies("within 250 ms of a change", &around));
    add(String::new());
    add("| | number | p50 | p95 | most |\n|---|---|---|---|---|".to_owned());
    add(format!("| saved → live | {} |", of_edits(&mut until_live(record))));
    add(format!("| asked too late by us | {} |", of_edits(&mut lateness(record))));
    add(format!("\n{}", footprints(record)));
    text
}

fn edits(record: &Record, verdict: &Verdict) -> String {
    let mut ends: BTreeMap<Fate, usize> = BTreeMap::new();
    for round in &record.rounds[1..] {
        *ends.entry(round.edition.fate).or_default() += 1;
    }
    let ends: Vec<String> = ends.iter().map(|(fate, number)| format!("{number} {fate}")).collect();
    let failed: usize = verdict.failures.values().map(Vec::len).sum();
    format!(
        "{} edits ({}) of a service with {} in {:.0} s: **{failed} failed requests, {} answers of a withdrawn \
         generation, {} of a wrong one**; {} conversations ended at the limit of a drain\n",
        record.rounds.len() - 1,
        ends.join(", "),
        match record.scenario.replicas {
            1 => "1 replica".to_owned(),
            replicas => format!("{replicas} replicas"),
        },
        record.ended.duration_since(record.began).as_secs_f64(),
        verdict.late.len(),
        verdict.wrong.len(),
        verdict.ended_by_drain,
    )
}

/// Nothing where nobody has ended by itself.
fn lost(verdict: &Verdict) -> String {
    let lost: Vec<String> = verdict.lost.iter().map(|(kind, number)| format!("{number} × {kind}")).collect();
    if lost.is_empty() {
        return String::new();
    }
    format!("Under way where a version ended by itself, and lost with it: {}\n", lost.join(", "))
}

fn footprints(record: &Record) -> String {
    let shown =
        |size: &Footprint| format!("{} MiB, {} open files", size.resident_kib / 1024, size.open_files);
    let shown: Vec<String> = record.footprints.iter().map(shown).collect();
    format!("The platform process before, and after each quarter of it: {}.", shown.join("; "))
}

fn row(kind: Kind, record: &Record, verdict: &Verdict) -> String {
    let entries = &record.entries;
    let count = |counts: &BTreeMap<Kind, usize>| counts.get(&kind).copied().unwrap_or(0);
    let answered = entries.answers.iter().filter(|answer| answer.kind == kind).count();
    let failed = verdict.failures.get(&kind).map_or(0, Vec::len);
    let connections = match entries.connections.get(&kind) {
        Some(connections) => connections.to_string(),
        None => "–".to_owned(),
    };
    format!("| {kind} | {} | {answered} | {failed} | {connections} |", count(&entries.asked))
}

fn timed(record: &Record) -> impl Iterator<Item = &Answer> {
    record.entries.answers.iter().filter(|answer| !answer.kind.is_unasked())
}

fn is_around(moment: Instant, record: &Record) -> bool {
    let live = &record.chronicle.live;
    let next = live.partition_point(|(at, _)| *at <= moment);
    let is_near = |place: usize| {
        live.get(place).is_some_and(|(at, _)| {
            at.saturating_duration_since(moment).max(moment.saturating_duration_since(*at)) <= AROUND
        })
    };
    is_near(next) || next.checked_sub(1).is_some_and(is_near)
}

fn latencies(name: &str, answers: &[&Answer]) -> String {
    let mut times: Vec<Duration> = answers.iter().map(|answer| answer.took()).collect();
    times.sort();
    let at = |share| shown(percentile(&times, share));
    format!(
        "| {name} | {} | {} | {} | {} | {} |",
        times.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        shown(times.last().copied())
    )
}

fn until_live(record: &Record) -> Vec<Duration> {
    let changes = record.rounds[1..].iter().filter_map(|round| match round.end {
        End::Live { at, .. } => Some(at.saturating_duration_since(round.saved)),
        _ => None,
    });
    changes.collect()
}

/// By how much we were late with what we asked.
fn lateness(record: &Record) -> Vec<Duration> {
    timed(record).map(|answer| answer.asked.saturating_duration_since(answer.due)).collect()
}

fn of_edits(times: &mut [Duration]) -> String {
    times.sort();
    let at = |share| shown(percentile(times, share));
    format!("{} | {} | {} | {}", times.len(), at(0.5), at(0.95), shown(times.last().copied()))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "small"
)]
fn percentile(sorted: &[Duration], share: f64) -> Option<Duration> {
    let place = (sorted.len() as f64 * share) as usize;
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied()
}

fn shown(time: Option<Duration>) -> String {
    time.map_or("–".to_owned(), |time| format!("{:.1} ms", time.as_secs_f64() * 1000.0))
}
