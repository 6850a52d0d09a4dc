//! Which new connections are taken when there are many already.
//!
//! Before the limit is reached, connections are still taken but end with their first answer, so that
//! resting ones make room; at the limit they are refused at once, which costs the client less than
//! waiting for nothing. What limits is the number of file descriptors.

/// The connections that are open when one more arrives; it is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    pub open: usize,
    /// Of the address that the new one comes from.
    pub of_address: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub open: usize,
    /// `None`: an address may have any number. Behind another proxy all come from one.
    pub of_address: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Admission {
    Keep,
    /// To be closed after its first answer.
    Once,
    Refuse(Reason),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    TooManyOpen,
    TooManyOfAddress,
}

pub fn admit(connections: Connections, bounds: Bounds) -> Admission {
    if connections.open >= bounds.open {
        return Admission::Refuse(Reason::TooManyOpen);
    }
    if bounds.of_address.is_some_and(|most| connections.of_address >= most) {
        return Admission::Refuse(Reason::TooManyOfAddress);
    }
    if is_under_pressure(connections.open, bounds.open) { Admission::Once } else { Admission::Keep }
}

/// From four fifths of the bound on; connections that rest may then be closed early, too.
pub fn is_under_pressure(open: usize, most: usize) -> bool {
    open >= most - most / 5
}

/// How many connections of clients so many file descriptors are good for: each may need another one
/// to an instance, and some are kept for everything else. At least one.
pub fn connections_for(descriptors: usize, wanted: usize) -> usize {
    const KEPT: usize = 64;
    (descriptors.saturating_sub(KEPT) / 2).clamp(1, wanted.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(open: usize, of_address: usize, expected: Admission) {
        let bounds = Bounds { open: 10, of_address: Some(3) };
        assert_eq!(admit(Connections { open, of_address }, bounds), expected);
    }

    #[test]
    fn connections_are_kept_then_served_once_then_refused() {
        check(0, 0, Admission::Keep);
        check(7, 2, Admission::Keep);
        check(8, 0, Admission::Once);
        check(9, 0, Admission::Once);
        check(10, 0, Admission::Refuse(Reason::TooManyOpen));
        check(0, 3, Admission::Refuse(Reason::TooManyOfAddress));
    }

    #[test]
    fn half_of_the_descriptors_are_for_instances() {
        assert_eq!(connections_for(1024, 10_000), 480);
        assert_eq!(connections_for(1_000_000, 10_000), 10_000);
        assert_eq!(connections_for(20, 10_000), 1);
    }

    proptest! {
        #[test]
        fn no_sequence_of_arrivals_exceeds_a_bound(
            most in 0_usize..40, of_address in 1_usize..10, arrivals in prop::collection::vec(0_usize..5, 0..200),
        ) {
            let bounds = Bounds { open: most, of_address: Some(of_address) };
            let mut open = [0; 5];
            for from in arrivals {
                let connections = Connections { open: open.iter().sum(), of_address: open[from] };
                if !matches!(admit(connections, bounds), Admission::Refuse(_)) {
                    open[from] += 1;
                }
            }
            prop_assert!(open.iter().sum::<usize>() <= most);
            prop_assert!(open.iter().all(|&count| count <= of_address));
        }

        #[test]
        fn there_is_always_a_descriptor_for_the_other_side(descriptors in 66_usize..100_000, wanted: usize) {
            prop_assert!(2 * connections_for(descriptors, wanted) + 64 <= descriptors);
        }
    }
}
