//! Settings that have a default, read in one step. The default is also the example in hints.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::section::Section;
use super::values::Value;

impl Section<'_> {
    pub fn duration_or(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
        default: Duration,
    ) -> Duration {
        let example = format!("\"{}\"", humantime::format_duration(default));
        self.take(key).and_then(|value| value.duration_within(range, &example)).unwrap_or(default)
    }

    pub fn count_or(&mut self, key: &'static str, range: RangeInclusive<u32>, default: u32) -> u32 {
        let range = i64::from(*range.start())..=i64::from(*range.end());
        let found = self.take(key).and_then(|value| value.integer_within(range, &default.to_string()));
        found.and_then(|count| u32::try_from(count).ok()).unwrap_or(default)
    }

    /// A part of a whole, from 0 to 1.
    pub fn share_or(&mut self, key: &'static str, default: f64) -> f64 {
        self.take(key).and_then(|value| read_share(value, &default.to_string())).unwrap_or(default)
    }

    pub fn flag_or(&mut self, key: &'static str, default: bool) -> bool {
        self.take(key).and_then(Value::flag).unwrap_or(default)
    }
}

fn read_share(value: Value<'_>, example: &str) -> Option<f64> {
    let (name, key, problems) = (value.name(), value.key.clone(), value.problems);
    let share = value.number(example)?;
    if (0.0..=1.0).contains(&share.value) {
        return Some(share.value);
    }
    let message = format!("{name} is {}, but must be from 0 to 1", share.value);
    problems.report(&share.place, message, format!("for example {key} = {example}"));
    None
}
