//! Which of several ready instances gets the next request. Pure: a function of a turn and a list.
//!
//! The turn is counted per service and outlives route tables, so that a swap does not send
//! everybody back to the first instance.

/// Round robin. `None` when nothing is ready.
pub fn pick<T>(turn: usize, ready: &[T]) -> Option<&T> {
    ready.get(turn.checked_rem(ready.len())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_ready_is_nothing_picked() {
        assert_eq!(pick::<u8>(7, &[]), None);
    }

    #[test]
    fn the_turn_goes_round_even_when_its_counter_wraps() {
        let picked: Vec<_> = (0..4).map(|turn| *pick(turn, &["a", "b", "c"]).unwrap()).collect();
        assert_eq!(picked, ["a", "b", "c", "a"]);
        assert!(pick(usize::MAX, &["a", "b", "c"]).is_some());
    }

    proptest! {
        #[test]
        fn every_instance_gets_its_share(count in 1_usize..8, start in 0_usize..1000, rounds in 1_usize..5) {
            let ready: Vec<usize> = (0..count).collect();
            let mut given = vec![0; count];
            for turn in start..start + rounds * count {
                given[*pick(turn, &ready).unwrap()] += 1;
            }
            prop_assert!(given.iter().all(|&n| n == rounds));
        }
    }
}
