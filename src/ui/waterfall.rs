//! Where the time of a deployment went, as one line.

use std::time::Duration;

use super::text::cut;
use crate::model::deployment::{Deployment, Outcome, Stage, Timings};

/// What every terminal has, without the mark before the line.
const WIDTH: usize = 76;

/// From here on it is seconds that matter.
const LONG: Duration = Duration::from_secs(10);

/// `orders v7 live in 612 ms: rest 32 · build 180 · ship 110 · start 240 · ready 45 · switch 5`, in at
/// most 76 columns: where that is too long, the stages that took the least are one sum.
#[must_use]
pub fn waterfall(deployment: &Deployment) -> String {
    let unit = Unit::of(deployment.timings.total());
    let head = head(deployment, unit);
    let mut spans = spans(&deployment.timings, unit);
    let mut rest = 0;
    loop {
        let line = line(&head, &spans, rest, unit);
        let smallest = (0..spans.len()).min_by_key(|index| spans[*index].1);
        match smallest.filter(|_| line.chars().count() > WIDTH) {
            Some(index) => rest += spans.remove(index).1,
            // A sum of everything is the total.
            None if spans.is_empty() => return cut(&head, WIDTH),
            None => return line,
        }
    }
}

/// What numbers count: milliseconds, or tenths of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Milliseconds,
    TenthsOfASecond,
}

impl Unit {
    fn of(total: Duration) -> Self {
        if total < LONG { Self::Milliseconds } else { Self::TenthsOfASecond }
    }

    fn count(self, duration: Duration) -> u128 {
        let length = match self {
            Self::Milliseconds => 1_000,
            Self::TenthsOfASecond => 100_000,
        };
        (duration.as_micros() + length / 2) / length
    }

    fn show(self, count: u128) -> String {
        match self {
            Self::Milliseconds => count.to_string(),
            Self::TenthsOfASecond => format!("{}.{}", count / 10, count % 10),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::TenthsOfASecond => "s",
        }
    }
}

fn head(deployment: &Deployment, unit: Unit) -> String {
    let Deployment { service, generation, timings, .. } = deployment;
    let came_to = match deployment.outcome {
        Outcome::Failed { .. } => "failed after",
        _ if deployment.was_live() => "live in",
        _ => "given up after",
    };
    let total = unit.show(unit.count(timings.total()));
    format!("{service} v{generation} {came_to} {total} {}", unit.name())
}

/// Rounded so that they add up to the total; what took no time says nothing.
fn spans(timings: &Timings, unit: Unit) -> Vec<(&'static str, u128)> {
    let mut at = Duration::ZERO;
    let spans = timings.spans().map(|(stage, span)| {
        let before = unit.count(at);
        at += span;
        (name(stage), unit.count(at) - before)
    });
    spans.filter(|(_, count)| *count > 0).collect()
}

fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Detected => "saw",
        Stage::Debounced => "rest",
        Stage::Built => "build",
        Stage::Shipped => "ship",
        Stage::Started => "start",
        Stage::Ready => "ready",
        Stage::Switched => "switch",
    }
}

fn line(head: &str, spans: &[(&str, u128)], rest: u128, unit: Unit) -> String {
    let rest = (rest > 0).then_some(("other", rest));
    let parts: Vec<String> = spans
        .iter()
        .copied()
        .chain(rest)
        .map(|(name, count)| format!("{name} {}", unit.show(count)))
        .collect();
    if parts.is_empty() { head.to_owned() } else { format!("{head}: {}", parts.join(" · ")) }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::model::deployment::{Cause, Recipe};
    use crate::model::event::Failure;

    const STAGES: [Stage; 7] = [
        Stage::Detected,
        Stage::Debounced,
        Stage::Built,
        Stage::Shipped,
        Stage::Started,
        Stage::Ready,
        Stage::Switched,
    ];

    /// The ends of stages in milliseconds; none where it is not known.
    fn of(service: &str, ends: [Option<u64>; 7], outcome: Outcome) -> String {
        let known = STAGES.into_iter().zip(ends).filter_map(|(stage, at)| Some((stage, at?)));
        let deployment = Deployment {
            service: service.into(),
            number: 1,
            generation: 7,
            cause: Cause::Changed,
            began: SystemTime::UNIX_EPOCH,
            timings: known.map(|(stage, at)| (stage, Duration::from_millis(at))).collect(),
            outcome,
            attempts: 1,
            stopped: None,
            recipe: Recipe::default(),
        };
        let line = waterfall(&deployment);
        assert!(line.chars().count() <= 76, "{line}");
        line
    }

    #[test]
    fn every_stage_that_took_time_has_its_part() {
        let thin = [Some(0), Some(32), None, Some(142), Some(302), Some(342), Some(343)];
        assert_eq!(
            of("web", thin, Outcome::Live),
            "web v7 live in 343 ms: rest 32 · ship 110 · start 160 · ready 40 · switch 1"
        );
        assert_eq!(of("web", [None; 7], Outcome::UnderWay), "web v7 given up after 0 ms");
    }

    #[test]
    fn where_a_line_is_too_short_the_smallest_parts_are_one_sum() {
        let ends = [Some(0), Some(32), Some(212), Some(322), Some(562), Some(607), Some(612)];
        assert_eq!(
            of("orders", ends, Outcome::Live),
            "orders v7 live in 612 ms: build 180 · ship 110 · start 240 · other 82"
        );
        assert_eq!(of(&"a".repeat(56), ends, Outcome::Live), format!("{} v7 live in 612 ms", "a".repeat(56)));
    }

    #[test]
    fn long_ones_are_told_in_seconds_and_failures_as_such() {
        let ends = [Some(0), Some(30), Some(38_230), None, Some(38_580), None, None];
        assert_eq!(
            of("web", ends, Outcome::Failed { failure: Failure::default() }),
            "web v7 failed after 38.6 s: build 38.2 · start 0.4"
        );
    }

    #[test]
    fn parts_add_up_to_the_total_however_they_are_rounded() {
        let timings: Timings = STAGES
            .into_iter()
            .zip(1_u32..)
            .map(|(stage, n)| (stage, Duration::from_micros(1_400) * n))
            .collect();
        let unit = Unit::Milliseconds;
        let sum: u128 = spans(&timings, unit).iter().map(|(_, count)| count).sum();
        assert_eq!(sum, unit.count(timings.total()));
    }
}
