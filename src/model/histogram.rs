//! How long things took, as counts by bounded ranges: cheap to count, to add up and to subtract.
//!
//! Two readings of one histogram subtracted from each other are what happened in between.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How many ranges have an upper bound; one more has none.
pub const BOUNDED: usize = 16;

/// The upper bounds, in microseconds: a duration counts in the first range that it does not exceed.
pub const BOUNDS_US: [u64; BOUNDED] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

/// One reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durations {
    /// How many fell in each range; not cumulative.
    pub counts: [u64; BOUNDED + 1],
    /// All of them together, in microseconds.
    pub sum_us: u64,
}

/// Which range a duration falls in.
#[must_use]
pub fn range_of(micros: u64) -> usize {
    BOUNDS_US.partition_point(|&bound| bound < micros)
}

impl Durations {
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// What came since `earlier`. Where that is the later one (the counters began anew), all of it.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        if self.counts.iter().zip(&earlier.counts).any(|(now, then)| now < then) {
            return *self;
        }
        let mut counts = self.counts;
        for (now, then) in counts.iter_mut().zip(&earlier.counts) {
            *now -= then;
        }
        Self { counts, sum_us: self.sum_us.saturating_sub(earlier.sum_us) }
    }

    /// Both together.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut counts = self.counts;
        for (count, more) in counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        Self { counts, sum_us: self.sum_us.saturating_add(other.sum_us) }
    }

    /// Which duration so many percent of them did not exceed, taken as spread evenly within a range;
    /// `None` if there are none. What exceeds the last bound is told as that bound.
    #[must_use]
    pub fn percentile(&self, percent: u8) -> Option<Duration> {
        let total = self.count();
        let rank = (total * u64::from(percent.min(100))).div_ceil(100).max(1);
        let mut below = 0;
        let (range, count) = self.counts.iter().copied().enumerate().find(|(_, count)| {
            let is_there = below + count >= rank && total > 0;
            below += if is_there { 0 } else { *count };
            is_there
        })?;
        let low = range.checked_sub(1).map_or(0, |before| BOUNDS_US[before]);
        let high = BOUNDS_US.get(range).copied().unwrap_or(low);
        Some(Duration::from_micros(low + (high - low) * (rank - below) / count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(micros: &[u64]) -> Durations {
        let mut durations = Durations::default();
        for &micros in micros {
            durations.counts[range_of(micros)] += 1;
            durations.sum_us += micros;
        }
        durations
    }

    #[test]
    fn a_duration_counts_in_the_first_range_that_it_does_not_exceed() {
        for (micros, range) in [(0, 0), (100, 0), (101, 1), (1_000, 3), (10_000_000, 15), (10_000_001, 16)] {
            assert_eq!(range_of(micros), range, "{micros}");
        }
    }

    #[test]
    fn no_durations_have_no_percentile() {
        assert_eq!(Durations::default().percentile(50), None);
    }

    #[test]
    fn a_reading_that_began_anew_is_taken_whole() {
        let (before, after) = (of(&[1, 1, 1]), of(&[1]));
        assert_eq!(after.since(&before), after);
        assert_eq!(before.since(&after), of(&[1, 1]));
    }

    proptest! {
        #[test]
        fn a_percentile_is_in_the_range_of_the_value_that_has_its_rank(
            mut micros in proptest::collection::vec(0_u64..20_000_000, 1..50), percent in 1_u8..=100
        ) {
            let found = of(&micros).percentile(percent).unwrap().as_micros();
            micros.sort_unstable();
            let rank = (micros.len() * usize::from(percent)).div_ceil(100);
            let range = range_of(micros[rank - 1]);
            let low = range.checked_sub(1).map_or(0, |before| BOUNDS_US[before]);
            let high = BOUNDS_US.get(range).copied().unwrap_or(low);
            prop_assert!((u128::from(low)..=u128::from(high)).contains(&found), "{found} not in {low}..={high}");
        }

        #[test]
        fn adding_and_subtracting_undo_each_other(
            one in proptest::collection::vec(0_u64..20_000_000, 0..20),
            other in proptest::collection::vec(0_u64..20_000_000, 0..20),
        ) {
            let (one, other) = (of(&one), of(&other));
            prop_assert_eq!(one.and(&other).since(&other), one);
        }
    }
}
