//! Counters, gauges and histograms that many threads write and hardly anybody reads.
//!
//! Relaxed throughout: each number is right by itself, and a reading of several is of about one
//! moment.

use std::num::NonZeroU32;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::model::histogram::{BOUNDED, Durations, range_of};

/// Only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn increment(&self) {
        self.add(1);
    }

    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    pub fn add(&self, count: i64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(super) struct Histogram {
    counts: [AtomicU64; BOUNDED + 1],
    sum_us: AtomicU64,
}

impl Histogram {
    pub(super) fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.counts[range_of(micros)].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(micros, Ordering::Relaxed);
    }

    pub(super) fn reading(&self) -> Durations {
        let counts = std::array::from_fn(|range| self.counts[range].load(Ordering::Relaxed));
        Durations { counts, sum_us: self.sum_us.load(Ordering::Relaxed) }
    }
}

/// Counts by a key of which few values ever come up, without a lock: slots are taken in the order
/// in which keys come, so that the usual ones are found first.
#[derive(Debug, Default)]
pub(super) struct Tally {
    first: Chunk,
    /// Of keys for which there was no slot left.
    others: Counter,
}

#[derive(Debug, Default)]
struct Chunk {
    slots: [Slot; SLOTS],
    next: OnceLock<Box<Chunk>>,
}

/// Free as long as the key is 0.
#[derive(Debug, Default)]
struct Slot {
    key: AtomicU32,
    count: Counter,
}

const SLOTS: usize = 8;
/// A service that answers with every status there is must not fill the memory.
const MAX_CHUNKS: usize = 16;

impl Tally {
    pub(super) fn add(&self, key: NonZeroU32) {
        let mut chunk = &self.first;
        for _ in 1..MAX_CHUNKS {
            match chunk.slots.iter().find(|slot| slot.is_of(key)) {
                Some(slot) => return slot.count.increment(),
                None => chunk = chunk.next.get_or_init(Box::default),
            }
        }
        self.others.increment();
    }

    /// Every key that came up with its count, in the order in which they came first.
    pub(super) fn reading(&self) -> Vec<(NonZeroU32, u64)> {
        let chunks = std::iter::successors(Some(&self.first), |chunk| chunk.next.get().map(AsRef::as_ref));
        let slots = chunks.flat_map(|chunk| &chunk.slots);
        let taken = slots.filter_map(|slot| {
            let key = NonZeroU32::new(slot.key.load(Ordering::Relaxed))?;
            Some((key, slot.count.get()))
        });
        taken.collect()
    }

    pub(super) fn others(&self) -> u64 {
        self.others.get()
    }
}

impl Slot {
    /// Takes the slot if it is free.
    fn is_of(&self, key: NonZeroU32) -> bool {
        let key = key.get();
        match self.key.load(Ordering::Relaxed) {
            0 => match self.key.compare_exchange(0, key, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => true,
                Err(taken) => taken == key,
            },
            taken => taken == key,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    fn key(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    #[test]
    fn what_several_threads_count_adds_up() {
        let tally = Tally::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|turn| tally.add(key(1 + turn % 20))));
            }
        });
        let reading = tally.reading();
        assert_eq!(reading.len(), 20);
        assert!(reading.iter().all(|(_, count)| *count == 2000), "{reading:?}");
    }

    #[test]
    fn keys_beyond_the_last_slot_are_counted_together() {
        let tally = Tally::default();
        (1..=200).for_each(|number| tally.add(key(number)));
        assert_eq!(tally.reading().len(), SLOTS * (MAX_CHUNKS - 1));
        assert_eq!(tally.reading().len() as u64 + tally.others(), 200);
    }

    #[test]
    fn a_histogram_reads_what_it_was_given() {
        let histogram = Histogram::default();
        for millis in [0, 1, 3, 20_000] {
            histogram.observe(Duration::from_millis(millis));
        }
        let reading = histogram.reading();
        assert_eq!((reading.count(), reading.sum_us), (4, 20_004_000));
        assert_eq!(
            (reading.counts[0], reading.counts[3], reading.counts[5], reading.counts[16]),
            (1, 1, 1, 1)
        );
    }

    proptest! {
        #[test]
        fn a_tally_counts_as_a_map_does(keys in proptest::collection::vec(1_u32..40, 0..200)) {
            let (tally, mut map) = (Tally::default(), BTreeMap::new());
            for number in keys {
                tally.add(key(number));
                *map.entry(key(number)).or_insert(0) += 1;
            }
            prop_assert_eq!(tally.reading().into_iter().collect::<BTreeMap<_, _>>(), map);
        }
    }
}
