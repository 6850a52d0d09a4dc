//! The text format of Prometheus, version 0.0.4, as far as it is needed.

use std::fmt::{Display, Write};

use crate::model::histogram::{BOUNDS_US, Durations};

/// One exposition under way. The samples of a family follow its head at once.
#[derive(Debug, Default)]
pub(super) struct Text(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

pub(super) type Label<'l> = (&'l str, &'l str);

impl Text {
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    /// Labels with nothing in them are as good as absent, and are left out.
    pub(super) fn sample(&mut self, name: &str, labels: &[Label<'_>], value: impl Display) {
        self.0.push_str(name);
        let mut opening = '{';
        for (label, text) in labels.iter().filter(|(_, text)| !text.is_empty()) {
            self.0.push(opening);
            self.0.push_str(label);
            self.0.push_str("=\"");
            push_escaped(&mut self.0, text);
            self.0.push('"');
            opening = ',';
        }
        if opening == ',' {
            self.0.push('}');
        }
        self.line(format_args!(" {value}"));
    }

    pub(super) fn histogram(&mut self, name: &str, labels: &[Label<'_>], durations: &Durations) {
        let (bucket, sum, count) = (format!("{name}_bucket"), format!("{name}_sum"), format!("{name}_count"));
        let mut below = 0;
        for (range, counted) in durations.counts.iter().enumerate() {
            below += counted;
            let bound = BOUNDS_US.get(range).map_or_else(|| "+Inf".to_owned(), |&bound| seconds(bound));
            let labels: Vec<Label<'_>> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
            self.sample(&bucket, &labels, below);
        }
        self.sample(&sum, labels, seconds(durations.sum_us));
        self.sample(&count, labels, below);
    }

    pub(super) fn finish(self) -> String {
        self.0
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.0.write_fmt(text);
        self.0.push('\n');
    }
}

/// `0.0025`, `10`: without zeros at the end.
fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn push_escaped(text: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            _ => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::histogram::range_of;

    #[test]
    fn a_family_is_its_head_and_its_samples() {
        let mut text = Text::default();
        text.family("a_total", Kind::Counter, "How many.");
        text.sample("a_total", &[("x", "1"), ("none", "")], 7);
        text.sample("a_total", &[("x", "q\"u\\o\nte")], 8);
        text.sample("a_total", &[], 9);
        let expected = "# HELP a_total How many.\n# TYPE a_total counter\na_total{x=\"1\"} 7\n\
                        a_total{x=\"q\\\"u\\\\o\\nte\"} 8\na_total 9\n";
        assert_eq!(text.finish(), expected);
    }

    #[test]
    fn the_buckets_of_a_histogram_are_cumulative() {
        let mut durations = Durations { sum_us: 7_000_300, ..Durations::default() };
        durations.counts[range_of(300)] += 1;
        durations.counts[range_of(7_000_000)] += 1;
        let mut text = Text::default();
        text.histogram("t_seconds", &[("s", "a")], &durations);
        let text = text.finish();
        for line in [
            "t_seconds_bucket{s=\"a\",le=\"0.00025\"} 0",
            "t_seconds_bucket{s=\"a\",le=\"0.0005\"} 1",
            "t_seconds_bucket{s=\"a\",le=\"5\"} 1",
            "t_seconds_bucket{s=\"a\",le=\"10\"} 2",
            "t_seconds_bucket{s=\"a\",le=\"+Inf\"} 2",
            "t_seconds_sum{s=\"a\"} 7.0003",
            "t_seconds_count{s=\"a\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
