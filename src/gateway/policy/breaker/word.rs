//! The state of a [`Breaker`](super::Breaker) as one word that can be swapped atomically.

use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) phase: Phase,
    /// How often it has opened, modulo 2^24.
    pub(super) trips: u32,
}

/// Times are since the breaker's birth, in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Closed,
    Open { until: Duration },
    HalfOpen,
}

// From the highest bit: 38 bits of milliseconds (8 years), 24 bits of trips, 2 bits of phase.
const MILLIS_SHIFT: u32 = 26;
const TRIPS_SHIFT: u32 = 2;
const TRIPS: u32 = (1 << 24) - 1;
const LATEST: u64 = (1 << 38) - 1;

impl Word {
    pub(super) const FIRST: Self = Self { phase: Phase::Closed, trips: 0 };

    /// The word after this one. To open is what counts as a trip; when a probe comes to nothing, it
    /// opens again without one having been seen to fail, which does no harm.
    pub(super) fn then(self, phase: Phase) -> Self {
        let trip = u32::from(matches!(phase, Phase::Open { .. }));
        Self { phase, trips: (self.trips + trip) & TRIPS }
    }

    pub(super) fn packed(self) -> u64 {
        let (code, until) = match self.phase {
            Phase::Closed => (0, Duration::ZERO),
            Phase::Open { until } => (1, until),
            Phase::HalfOpen => (2, Duration::ZERO),
        };
        let millis = u64::try_from(until.as_millis()).unwrap_or(LATEST).min(LATEST);
        millis << MILLIS_SHIFT | u64::from(self.trips) << TRIPS_SHIFT | code
    }

    pub(super) fn unpacked(word: u64) -> Self {
        let phase = match word & 0b11 {
            0 => Phase::Closed,
            1 => Phase::Open { until: Duration::from_millis(word >> MILLIS_SHIFT) },
            _ => Phase::HalfOpen,
        };
        let trips = u32::try_from((word >> TRIPS_SHIFT) & u64::from(TRIPS)).unwrap_or(TRIPS);
        Self { phase, trips }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_word_says_what_was_put_into_it(millis in 0..=LATEST, trips in 0..=TRIPS) {
            let until = Duration::from_millis(millis);
            for phase in [Phase::Closed, Phase::Open { until }, Phase::HalfOpen] {
                let word = Word { phase, trips };
                prop_assert_eq!(Word::unpacked(word.packed()), word);
            }
        }
    }

    #[test]
    fn only_opening_counts_as_a_trip_and_the_count_wraps() {
        let last = Word { phase: Phase::Closed, trips: TRIPS };
        let open = last.then(Phase::Open { until: Duration::ZERO });
        assert_eq!(open.trips, 0);
        assert_eq!(open.then(Phase::HalfOpen).then(Phase::Closed).trips, 0);
    }
}
